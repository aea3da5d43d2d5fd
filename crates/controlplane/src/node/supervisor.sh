#!/bin/sh
# What a machine is to its operating system: keeps the disk and the network, and boots the node again whenever its init has ended.
#   supervisor.sh <folder> <the machine's PID namespace>
set -eu
folder=$1
machine=$2

# reboot(2) ends the init of a PID namespace; in the machine's own it would end the machine.
own=$(readlink /proc/self/ns/pid)
if [ "$own" = "$machine" ] || [ "$own" = "pid:[4026531836]" ] || [ $$ -ne 1 ]; then
  echo "refused: this is not a PID namespace of its own" >&2
  exit 70
fi

# The machine's root below, whatever the node writes above it: in memory, gone with this namespace.
mount -t tmpfs -o mode=0755 sandbox-node "$folder/root"
cd "$folder/root"
mkdir upper work system
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work sandbox-node system
cp -a --remove-destination "$folder/files/." system/

ip link set lo up
# The API server's address inside a cluster, where the relay listens.
ip address add 10.0.0.1/32 dev lo
ip link add cni0 type bridge
ip address add "$(cat "$folder/address")" dev cni0
ip link set cni0 up
: >"$folder/network"

while :; do
  status=0
  unshare --pid --fork --kill-child --mount --uts --propagation private -- \
    /bin/sh "$folder/init.sh" "$folder" "$machine" "$own" || status=$?
  # 129: reboot(2), which the kernel tells as a death by SIGHUP. A power cut is a SIGKILL, which some versions of unshare cannot pass on:
  # they complain and end with 1.
  echo "the node's init ended with $status"
  [ "$status" -ne 70 ] || exit 70
  sleep "$(cat "$folder/off-for")"
done
