import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { writeElf, type ElfParts } from "../../../testing/elf-builder.ts";
import { librariesOf } from "./shared-libraries.ts";

const ARM = 183;
let root = "";
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "pillion-libraries-")));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(files: Readonly<Record<string, ElfParts | string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    if (typeof content === "string") writeFileSync(join(root, path), content);
    else writeElf(join(root, path), content);
  }
}

/** Target -> path on the machine of the test. */
function found(program = "/bun"): Record<string, string> {
  const files = librariesOf(join(root, program), root);
  return Object.fromEntries(files.map(({ source, target }) => [target, source.slice(root.length)]));
}

describe("librariesOf()", () => {
  test("Debian: folders of several processors, links to /usr, what the C library opens by name", () => {
    const folder = "/usr/lib/x86_64-linux-gnu";
    put({
      "/bun": { interpreter: "/lib64/ld-linux-x86-64.so.2", needed: ["libc.so.6", "ld-linux-x86-64.so.2"] },
      [`${folder}/ld-linux-x86-64.so.2`]: {},
      [`${folder}/libc.so.6`]: { needed: ["ld-linux-x86-64.so.2"] },
      [`${folder}/libnss_dns.so.2`]: { needed: ["libc.so.6"] },
      "/etc/ld.so.conf": "# comment\ninclude /etc/ld.so.conf.d/*.conf\n",
      "/etc/ld.so.conf.d/x86_64-linux-gnu.conf": "/lib/x86_64-linux-gnu # first\n",
      "/etc/ld.so.conf.d/ignored.txt": "/ignored\n",
    });
    mkdirSync(join(root, "usr/lib64"));
    symlinkSync("usr/lib", join(root, "lib"));
    symlinkSync("usr/lib64", join(root, "lib64"));
    symlinkSync("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", join(root, "usr/lib64/ld-linux-x86-64.so.2"));
    expect(found()).toEqual({
      "/lib64/ld-linux-x86-64.so.2": `${folder}/ld-linux-x86-64.so.2`,
      "/lib/x86_64-linux-gnu/libc.so.6": `${folder}/libc.so.6`,
      "/lib/x86_64-linux-gnu/libnss_dns.so.2": `${folder}/libnss_dns.so.2`,
    });
  });

  test("Fedora: /lib64, and a library of the same name for another processor in the way", () => {
    put({
      "/bun": { interpreter: "/lib64/ld-linux-x86-64.so.2", needed: ["libm.so.6"] },
      "/lib64/ld-linux-x86-64.so.2": {},
      "/etc/ld.so.conf": "/opt/arm\n",
      "/opt/arm/libm.so.6": { machine: ARM },
      "/lib64/libm.so.6": { needed: ["libc.so.6"] },
      "/lib64/libc.so.6": {},
    });
    expect(found()).toEqual({
      "/lib64/ld-linux-x86-64.so.2": "/lib64/ld-linux-x86-64.so.2",
      "/lib64/libm.so.6": "/lib64/libm.so.6",
      "/lib64/libc.so.6": "/lib64/libc.so.6",
    });
  });

  test("arm64: a library that ldconfig knows elsewhere goes where a loader without its cache looks", () => {
    const loader = "/lib/ld-linux-aarch64.so.1";
    put({
      "/bun": { machine: ARM, interpreter: loader, needed: ["libc.so.6", "libextra.so.1"] },
      [loader]: { machine: ARM },
      "/lib/aarch64-linux-gnu/libc.so.6": { machine: ARM },
      "/etc/ld.so.conf": "/opt/extra\n",
      "/opt/extra/libextra.so.1": { machine: ARM },
    });
    expect(found()).toEqual({
      [loader]: loader,
      "/lib/aarch64-linux-gnu/libc.so.6": "/lib/aarch64-linux-gnu/libc.so.6",
      "/lib/aarch64-linux-gnu/libextra.so.1": "/opt/extra/libextra.so.1",
    });
  });

  test("musl: the loader is the C library, and has a list of folders of its own", () => {
    const loader = "/lib/ld-musl-x86_64.so.1";
    put({
      "/bun": { interpreter: loader, needed: ["libstdc++.so.6", "libc.musl-x86_64.so.1"] },
      [loader]: {},
      "/usr/lib/libstdc++.so.6": { needed: ["libgcc_s.so.1", "libc.musl-x86_64.so.1"] },
      "/usr/lib/libgcc_s.so.1": { needed: ["libc.musl-x86_64.so.1"] },
    });
    const libraries = {
      [loader]: loader,
      "/usr/lib/libstdc++.so.6": "/usr/lib/libstdc++.so.6",
      "/usr/lib/libgcc_s.so.1": "/usr/lib/libgcc_s.so.1",
    };
    expect(found()).toEqual(libraries);
    put({ "/etc/ld-musl-x86_64.path": "/nowhere:\n" });
    expect(found).toThrow('the library "libstdc++.so.6"');
  });

  test("Nix: loader and libraries in a folder that only the program names; $ORIGIN", () => {
    put({
      "/store/bun/bin/bun": {
        interpreter: "/store/glibc/lib/ld-linux-x86-64.so.2",
        needed: ["libc.so.6", "libown.so.1"],
        runPath: "$ORIGIN/../lib:/store/none",
      },
      "/store/glibc/lib/ld-linux-x86-64.so.2": {},
      "/store/glibc/lib/libc.so.6": {},
      "/store/bun/lib/libown.so.1": {},
    });
    expect(found("/store/bun/bin/bun")).toEqual({
      "/store/glibc/lib/ld-linux-x86-64.so.2": "/store/glibc/lib/ld-linux-x86-64.so.2",
      "/store/glibc/lib/libc.so.6": "/store/glibc/lib/libc.so.6",
      "/store/glibc/lib/libown.so.1": "/store/bun/lib/libown.so.1",
    });
  });

  test("says which library is missing and who needs it; a static program needs none", () => {
    put({
      "/bun": { interpreter: "/lib/ld.so", needed: ["libgone.so.3"] },
      "/lone": { interpreter: "/lib/no-such-loader.so" },
      "/static": {},
      "/lib/ld.so": {},
      // It names itself: no loop.
      "/etc/ld.so.conf": "include /etc/ld.so.conf\ninclude /no-such-folder/*.conf\n",
    });
    expect(() => found()).toThrow(
      `the library "libgone.so.3", which "${root}/bun" needs, is not on this machine`,
    );
    expect(() => found("/lone")).toThrow('the library "/lib/no-such-loader.so"');
    expect(found("/static")).toEqual({});
  });

  test("finds what the program that runs these tests has loaded", () => {
    const maps = Bun.spawnSync([
      process.execPath,
      "-e",
      "process.stdout.write(await Bun.file('/proc/self/maps').text())",
    ]);
    const loaded = new Set(maps.stdout.toString().match(/\/\S*\.so(?:\.\S+)?$/gm));
    const sources = new Set(librariesOf(process.execPath).map(({ source }) => source));
    expect([...loaded].filter((path) => !sources.has(path))).toEqual([]);
    expect(loaded.size).toBeGreaterThan(0);
  });
});
