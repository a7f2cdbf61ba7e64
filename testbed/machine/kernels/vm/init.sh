#!/bin/busybox sh
# Process 1 of a virtual machine until the host's files are there (see initramfs.py). The file /start has what differs
# from guest to guest: modules= the folder of the kernel's modules on the host, and begin() which runs what follows us.

say() { echo "testbed: $*" >/dev/console; }
die() { say "$*"; poweroff -f; }

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
    insmod "$module" || die "$module cannot be loaded"
done

# What is read only may be kept for good; what is written to a share must be there when we are gone.
options=trans=virtio,version=9p2000.L,msize=512000,access=any
mount -t 9p -o ro,cache=loose,$options host /lower || die "the host's files cannot be mounted"
mount -t tmpfs -o mode=0755 rw /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work root /root || die "no overlay"

number=0
while read -r share; do
    mkdir -p "/root$share"
    mount -t 9p -o cache=mmap,$options share$number "/root$share" || die "$share cannot be mounted"
    number=$((number + 1))
done </shares

. /start
release=$(uname -r)
mkdir -p /root/lib/modules
[ -d "/root/lib/modules/$release/kernel" ] || ln -sfn "$modules" "/root/lib/modules/$release"
mount --move /dev /root/dev
umount /sys
begin
