#!/bin/bash
# Prints the path of a built test program. Usage: binary.sh NAME (`cargo build --tests` comes first).
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo test --locked --no-run --test "$1" 2>&1 | sed -n 's/.*Executable.*(\(.*\))$/\1/p' | { read -r path; echo "$PWD/$path"; }
