import { expect, test } from "bun:test";
import { ipBytes, reversedIpv4 } from "./ip-bytes.ts";

test.each([
  ["10.96.0.1", [10, 96, 0, 1]],
  ["::", Array.from({ length: 16 }, () => 0)],
  ["fd00::a:1", [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 1]],
  ["1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
  ["::ffff:1.2.3.4", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4]],
])("ipBytes() reads %s", (text, bytes) => {
  expect([...(ipBytes(text) ?? [])]).toEqual(bytes);
});

test.each(["", "1.2.3", "01.2.3.4", "1.2.3.256", "fe80::1%eth0", ":::", "web"])(
  "ipBytes() knows that %p is no address",
  (text) => {
    expect(ipBytes(text)).toBeUndefined();
  },
);

test("reversedIpv4() takes exactly four labels of digits", () => {
  expect(reversedIpv4(["4", "3", "2", "1"])).toBe("1.2.3.4");
  expect(reversedIpv4(["3", "2", "1"])).toBeUndefined();
  expect(reversedIpv4(["4.3", "2", "1"])).toBeUndefined();
  expect(reversedIpv4(["x", "3", "2", "1"])).toBeUndefined();
});
