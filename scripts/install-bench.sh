#!/usr/bin/env bash
# Everything `make bench` needs beside our own binary: the peers (nginx, HAProxy) and the load generator (wrk), and
# what counts instructions (valgrind).
set -euo pipefail
exec "$(dirname "$0")/apt-install.sh" python3 nginx-light haproxy wrk util-linux valgrind
