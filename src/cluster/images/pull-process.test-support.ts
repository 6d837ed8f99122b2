/** A process that pulls one image and prints a line at each step, for tests that kill it: ROOT NAME. */
import { systemClock } from "../../kernel/clock.ts";
import { TEST_PLATFORM } from "../../testing/image-builder.ts";
import { openImages } from "./open-images.ts";

const [root = "", name = ""] = process.argv.slice(2);
const images = openImages({
  root,
  clock: systemClock,
  platform: TEST_PLATFORM,
  onProgress: ({ unpackedLayers }) => console.log(`unpacked ${unpackedLayers}`),
});
console.log("open");
await images.pull(name);
console.log("pulled");
