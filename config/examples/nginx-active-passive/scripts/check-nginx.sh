#!/bin/sh
# Exit 0 when the nginx of this machine answers with a 2xx or 3xx page, else 1. Needs curl.
# Install as /etc/tandem/scripts/check-nginx.sh (owner root, mode 755).
# It asks 127.0.0.1, so nginx must listen there too ("listen 80;"): the virtual address is absent on the backup.
curl --silent --fail --output /dev/null --max-time 1 "${1:-http://127.0.0.1/}" || exit 1
