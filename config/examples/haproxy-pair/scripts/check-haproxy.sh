#!/bin/sh
# Exit 0 when the haproxy of this machine answers its health page (monitor-uri in haproxy.cfg), else 1. Needs curl.
# Install as /etc/tandem/scripts/check-haproxy.sh (owner root, mode 755).
# "killall -0 haproxy" only says that a process of that name exists; this says that it works.
curl --silent --fail --output /dev/null --max-time 1 http://127.0.0.1:8404/health || exit 1
