import { expect, test } from "bun:test";
import { parseSubmounts } from "./host-submounts.ts";

test("parseSubmounts() tells disks from the rest, unescapes paths, and sees the upper of two mounts", () => {
  const mountinfo = [
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard",
    "40 27 0:40 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/a:/b",
    "41 27 8:1 / /var/log rw,nosuid - xfs /dev/sda1 rw",
    String.raw`42 27 0:5 / /mnt/my\040disk\134x rw master:3 - tmpfs tmpfs rw`,
    "43 27 8:2 / /srv rw - ext4 /dev/sda2 rw",
    "44 43 0:50 / /srv rw - nfs4 host:/srv rw",
    "",
  ].join("\n");
  expect(parseSubmounts(mountinfo)).toEqual([
    { path: "/", isDisk: true },
    { path: "/srv", isDisk: false },
    { path: "/var/log", isDisk: true },
    { path: String.raw`/mnt/my disk\x`, isDisk: false },
    { path: "/var/lib/docker/overlay2/x/merged", isDisk: false },
  ]);
});
