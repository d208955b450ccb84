#!/bin/sh
# Asks the nginx of this machine. If it does not answer, runs the command given as arguments (one that restarts
# nginx) and asks again; if that does not help either, stops the director that started this script, so that the
# other director takes the virtual address and keeps it until somebody has looked.
#
#   check-nginx-or-stop.sh systemctl restart nginx
#
# Exit 0: nginx answers. Exit 1: it does not, and the director has been told to stop.
# Needs curl, and root. Install as /etc/tandem/scripts/check-nginx-or-stop.sh (owner root, mode 755).

answers() {
    curl --silent --fail --output /dev/null --max-time 1 http://127.0.0.1/
}

answers && exit 0

echo "nginx does not answer: $*" >&2
"$@" </dev/null
for _ in 1 2 3; do
    answers && exit 0
    sleep 0.5
done

# The director is our parent. keepalived starts scripts from a child process that its main process would only
# start again, so climb as long as the parent is the same program: the topmost one is the one to stop.
program=$(cat "/proc/$PPID/comm")
director=$PPID
while parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$director/status") &&
    [ "$parent" -gt 1 ] && [ "$(cat "/proc/$parent/comm")" = "$program" ]; do
    director=$parent
done
echo "nginx does not answer after a restart: stopping $program (process $director)" >&2
kill -TERM "$director"
exit 1
