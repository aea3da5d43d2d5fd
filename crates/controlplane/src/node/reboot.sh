#!/bin/sh
# Reboots the node at once. Never the machine: that is the initial PID namespace.
case $(readlink /proc/self/ns/pid) in
"pid:[4026531836]" | "")
  echo "refused: this is not the PID namespace of a sandbox node" >&2
  exit 1
  ;;
esac
exec busybox reboot -f
