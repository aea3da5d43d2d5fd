#!/bin/sh
# The node's init: a root, control groups and a boot id of its own, then containerd and kubelet.
#   init.sh <folder> <the machine's PID namespace> <the supervisor's PID namespace>
set -eu
# Whatever fails before the node runs is told by this status: to boot again would fail again.
trap 'exit 70' EXIT
folder=$1
own=$(readlink /proc/self/ns/pid)
if [ "$own" = "$2" ] || [ "$own" = "$3" ] || [ "$own" = "pid:[4026531836]" ] || [ $$ -ne 1 ]; then
  echo "refused: this is not a PID namespace of its own" >&2
  exit 70
fi
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
. "$folder/settings"

cd "$folder/root/system"
mount -t proc proc proc
echo "$NODE_NAME" >proc/sys/kernel/hostname
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# An overlay cannot be the upper layer of another, so containers live in real folders.
for place in containerd kubelet; do
  mkdir -p "var/lib/$place"
  mount --bind "$folder/$place" "var/lib/$place"
done
mkdir -p var/log/sandbox-node
mount --bind "$folder/logs" var/log/sandbox-node
: >>usr/local/bin/kubelet
mount --bind "$KUBELET" usr/local/bin/kubelet

unified=true
while IFS=: read -r hierarchy controllers _; do
  case $hierarchy:$controllers in
  0:) continue ;;
  *:name=*) place=${controllers#name=} options=none,$controllers ;;
  *) place=$controllers options=$controllers ;;
  esac
  if $unified; then mount -t tmpfs -o mode=0755 tmpfs sys/fs/cgroup; fi
  unified=false
  mkdir "sys/fs/cgroup/$place"
  mount -t cgroup -o "$options" cgroup "sys/fs/cgroup/$place"
  # What the last boot's containers were in.
  find "sys/fs/cgroup/$place" -mindepth 1 -depth -type d -exec rmdir {} \; || :
  for controller in $(echo "$place" | tr , ' '); do
    [ -e "sys/fs/cgroup/$controller" ] || ln -s "$place" "sys/fs/cgroup/$controller"
  done
done <proc/self/cgroup
if $unified; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  find sys/fs/cgroup -mindepth 1 -depth -type d ! -name init -exec rmdir {} \; || :
  for controller in $(cat sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >sys/fs/cgroup/cgroup.subtree_control || :
  done
elif grep -q '^0::' proc/self/cgroup; then
  mkdir sys/fs/cgroup/unified
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
  find sys/fs/cgroup/unified -mindepth 1 -depth -type d -exec rmdir {} \; || :
fi

cat proc/sys/kernel/random/uuid >run/boot-id
mount --bind run/boot-id proc/sys/kernel/random/boot_id
# kubelet sets these for the whole machine: here it finds them set.
mkdir run/tunables
for tunable in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  name=${tunable%=*}
  copy=run/tunables/$(echo "$name" | tr / .)
  echo "${tunable#*=}" >"$copy"
  mount --bind "$copy" "proc/sys/$name"
done
# The one other way from a node to the machine's power button.
if [ -e proc/sysrq-trigger ]; then mount --bind dev/null proc/sysrq-trigger; fi

pivot_root . mnt
cd /
cat run/boot-id >>/mnt"$folder"/boots
umount -l /mnt
mount --make-rshared /

# A system that was installed beside the running one is the running one from now on.
if [ -e /etc/kairos-release.next ]; then mv /etc/kairos-release.next /etc/kairos-release; fi

keep_running() {
  while :; do
    "$@" || echo "$1 ended with $?"
    sleep 1
  done
}
keep_running containerd --config /etc/containerd/sandbox-node.toml >>/var/log/sandbox-node/containerd.log 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
# shellcheck disable=SC2086
keep_running kubelet $KUBELET_FLAGS >>/var/log/sandbox-node/kubelet.log 2>&1 &

# As init does on other systems when `reboot` without `-f` asks it to.
trap 'exec /usr/sbin/reboot' TERM
trap - EXIT
# It also reaps whoever loses its parent.
while :; do wait; done
