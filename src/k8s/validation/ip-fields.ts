/** Checks of addresses and ranges of them, wherever they stand (core `validation.go`). */
import { type FieldError, invalid, invalidEach } from "../field-error.ts";
import { checkIp, isIp } from "../names.ts";

/** `ValidateNonSpecialIP`, and that it is one: no traffic can be sent to these. */
export function validateReachableIp(ip: string, field: string): FieldError[] {
  const wrong = checkIp(ip);
  return invalidEach(field, ip, wrong.length > 0 ? wrong : specialIp(ip));
}

function specialIp(ip: string): string[] {
  const canonical = ip.toLowerCase();
  const wrong: string[] = [];
  if (canonical === "0.0.0.0" || canonical === "::") wrong.push(`may not be unspecified (${ip})`);
  if (canonical.startsWith("127.") || canonical === "::1")
    wrong.push("may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (canonical.startsWith("169.254.") || /^fe[89ab]/.test(canonical))
    wrong.push("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (canonical.startsWith("224.0.0.") || canonical.startsWith("ff02:"))
    wrong.push("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  return wrong;
}

export function validateCidr(range: string, field: string): FieldError[] {
  if (prefixLength(range) !== undefined) return [];
  return [invalid(field, range, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")];
}

/** Undefined for text that is no range. */
export function prefixLength(range: string): number | undefined {
  const [ip = "", bits = "", ...rest] = range.split("/");
  if (rest.length > 0 || !isIp(ip) || !/^\d{1,3}$/.test(bits)) return undefined;
  return Number(bits) <= (ip.includes(":") ? 128 : 32) ? Number(bits) : undefined;
}
