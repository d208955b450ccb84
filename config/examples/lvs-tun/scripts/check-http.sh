#!/bin/sh
# check-http.sh ADDRESS PORT [PATH]: exit 0 when the page answers with a 2xx or 3xx status, else 1. Needs curl.
# Install as /etc/tandem/scripts/check-http.sh (owner root, mode 755).
curl --silent --fail --output /dev/null --max-time 2 "http://$1:$2${3:-/}" || exit 1
