/** Whether this machine has nft(8), without which the kernel carries no traffic to Services and pods have no way out. */

/** Tests that need it are skipped where it is not installed (`apt-get install nftables`). */
export const hasNft =
  Bun.which("nft", { PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin` }) !== null;
