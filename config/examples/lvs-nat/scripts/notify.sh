#!/bin/sh
# Writes one line for each state change:  TIME HOST INSTANCE VI_1 MASTER 150
# The daemon appends the four last words: INSTANCE|GROUP, its name, the new state, the priority.
# Install as /etc/tandem/scripts/notify.sh (owner root, mode 755).
log=${TANDEM_NOTIFY_LOG:-/var/log/tandem-notify.log}
line="$(date +%Y-%m-%dT%H:%M:%S%z) $(uname -n) $*"
echo "$line" >>"$log"
