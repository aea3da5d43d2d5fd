#!/bin/sh
# Joins the node's control groups and leaves the machine's namespaces for good.
#   enter.sh <folder> <group inside the unified hierarchy, or nothing> <group>...
set -eu
folder=$1
leaf=$2
shift 2
for group in "$@"; do echo $$ >"$group/cgroup.procs"; done

# In a hierarchy of version 2 a group that hands out controllers holds no process itself, so the root that the node sees, which is
# where the namespace is made, is left for a group inside it.
exec unshare --cgroup -- /bin/sh -eu -c '
  [ -z "$1" ] || echo $$ >"$1/cgroup.procs"
  exec unshare --pid --fork --kill-child --mount --net --propagation private --mount-proc -- \
    /bin/sh "$0/supervisor.sh" "$0" "$2"
' "$folder" "$leaf" "$(readlink /proc/self/ns/pid)"
