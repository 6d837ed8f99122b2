import { describe, expect, test } from "bun:test";
import { resolveUser } from "./container-user.ts";
import { parseIdMap } from "./id-map.ts";
import { ContainerStartError, type ContainerSpec } from "./sandbox.ts";

const files = {
  passwd: [
    "root:x:0:0:root:/root:/bin/sh",
    "# comment",
    "broken",
    "nginx:x:101:102::/var/cache/nginx:/bin/false",
    "12:x:500:500::/twelve:/bin/sh",
    "homeless:x:7:8",
  ].join("\n"),
  group: "root:x:0:\nnginx:x:102:\nlogs:x:103:nginx,other\nbad:x:many:nginx\nwheel:x:10:root\n",
};
const all = parseIdMap({ uidMap: "0 0 4294967295", gidMap: "0 0 4294967295", setgroups: "allow\n" });
const one = parseIdMap({
  uidMap: "         0       1000          1\n",
  gidMap: "0 1000 1\n",
  setgroups: "deny\n",
});
const range = parseIdMap({
  uidMap: "0 1000 1\n1 100000 65535\n",
  gidMap: "0 1000 1\n1 100000 65535\n",
  setgroups: "allow\n",
});

function user(text: string, more: Partial<ContainerSpec["user"]> = {}): ContainerSpec["user"] {
  return { user: text, supplementalGroups: [], ...more };
}

describe("resolveUser()", () => {
  test.each([
    ["root when nothing is said", user(""), { uid: 0, gid: 0, groups: [0, 10], home: "/root" }],
    ["a name", user("nginx"), { uid: 101, gid: 102, groups: [102, 103], home: "/var/cache/nginx" }],
    [
      "a number that has a name",
      user("101"),
      { uid: 101, gid: 102, groups: [102, 103], home: "/var/cache/nginx" },
    ],
    ["a number without a name", user("1000"), { uid: 1000, gid: 0, groups: [0], home: "/" }],
    ["a number before a name", user("12"), { uid: 12, gid: 0, groups: [0], home: "/" }],
    ["a user without a home", user("homeless"), { uid: 7, gid: 8, groups: [8], home: "/" }],
    [
      "a group behind a colon",
      user("nginx:logs"),
      { uid: 101, gid: 103, groups: [103], home: "/var/cache/nginx" },
    ],
    ["numbers", user("5:6"), { uid: 5, gid: 6, groups: [6], home: "/" }],
    ["a group of its own field", user("5:6", { group: "9" }), { uid: 5, gid: 9, groups: [9], home: "/" }],
    [
      "extra groups, each once",
      user("nginx", { supplementalGroups: [2000, 103] }),
      { uid: 101, gid: 102, groups: [102, 103, 2000], home: "/var/cache/nginx" },
    ],
    [
      "no groups of the image when the pod's list is strict",
      user("nginx", { supplementalGroups: [2000], supplementalGroupsPolicy: "Strict" }),
      { uid: 101, gid: 102, groups: [102, 2000], home: "/var/cache/nginx" },
    ],
  ])("%s [X2, X3]", (_what, wanted, expected) => {
    expect(resolveUser(wanted, files, all)).toEqual(expected);
  });

  test("an image without account files has root and numbers", () => {
    const none = { passwd: "", group: "" };
    expect(resolveUser(user(""), none, all)).toEqual({ uid: 0, gid: 0, groups: [0], home: "/" });
    expect(() => resolveUser(user("root"), none, all)).toThrow(
      "unable to find user root: no matching entries in passwd file",
    );
  });

  test.each([
    [user("nobody"), "unable to find user nobody: no matching entries in passwd file"],
    [user("nginx:nobody"), "unable to find group nobody: no matching entries in group file"],
    [user("99999999999"), "unable to find user 99999999999: no matching entries in passwd file"],
    [user("4294967295"), "unable to find user 4294967295: no matching entries in passwd file"],
  ])("%j is refused", (wanted, message) => {
    expect(() => resolveUser(wanted, files, all)).toThrow(
      new ContainerStartError("CreateContainerError", message),
    );
  });

  test("with a single id, root runs without groups and everybody else is refused with the fix", () => {
    expect(resolveUser(user(""), files, one)).toEqual({ uid: 0, gid: 0, groups: undefined, home: "/root" });
    expect(() => resolveUser(user("nginx"), files, one)).toThrow(/^cannot run as user 101: .*\/etc\/subuid/);
    expect(() => resolveUser(user("0:102"), files, one)).toThrow(/^cannot run as group 102: /);
    expect(() => resolveUser(user("", { supplementalGroups: [2000] }), files, one)).toThrow(
      /^cannot run as group 2000: /,
    );
  });

  test("who is refused learns whether the pod or its image asks for that user, and what to change there", () => {
    const ofImage = ["user", "group"] as const;
    expect(() => resolveUser(user("nginx", { ofImage }), files, one)).toThrow(
      /^cannot run as user 101, as the image wants \(USER nginx\): .* or set securityContext\.runAsUser: 0, which is your own account$/,
    );
    expect(() => resolveUser(user("0", { group: "102", ofImage }), files, one)).toThrow(
      /^cannot run as group 102, as the image wants .* or set securityContext\.runAsGroup: 0, /,
    );
    const others = [user("101"), user("0", { group: "102", ofImage: ["user"] })];
    for (const wanted of [...others, user("0", { supplementalGroups: [9], ofImage })]) {
      expect(() => resolveUser(wanted, files, one)).toThrow(
        /^cannot run as (user|group) \d+: .* or remove the \1 from the pod's securityContext$/,
      );
    }
  });

  test("the user of an image that works as any user becomes the only one there is; a pod's own wish does not", () => {
    const optional = { ofImage: ["user", "group"], isOptional: true } as const;
    expect(resolveUser(user("nginx", optional), files, one)).toMatchObject({ uid: 0, gid: 0 });
    expect(resolveUser(user("nginx", optional), files, all)).toMatchObject({ uid: 101, gid: 102 });
    expect(() => resolveUser(user("101"), files, one)).toThrow(/^cannot run as user 101: /);
  });

  test("with a range, ids in it work, image groups outside of it are left out, asked ones refused", () => {
    expect(resolveUser(user("nginx"), files, range)).toMatchObject({ uid: 101, groups: [102, 103] });
    const large = { ...files, group: "logs:x:70000:nginx\n" };
    expect(resolveUser(user("nginx"), large, range)).toMatchObject({ groups: [102] });
    expect(() => resolveUser(user("70000"), files, range)).toThrow(/^cannot run as user 70000: /);
  });
});

test("parseIdMap() knows the machine's root from a user namespace", () => {
  expect(
    [all, one, range].map(({ isUserNamespace, canSetGroups }) => [isUserNamespace, canSetGroups]),
  ).toEqual([
    [false, true],
    [true, false],
    [true, true],
  ]);
});
