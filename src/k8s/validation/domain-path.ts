/** Names of controllers, such as `acme.io/foo` (`IsDomainPrefixedPath`). */
import { type FieldError, invalid, required } from "../field-error.ts";
import { checkDns1123Subdomain } from "../names.ts";

const PATH_CHARACTERS = String.raw`[A-Za-z0-9/\-._~%!$&'()*+,;=:]+`;
const path = new RegExp(`^${PATH_CHARACTERS}$`);

export function validateDomainPath(name: string, field: string): FieldError[] {
  if (name === "") return [required(field)];
  const slash = name.indexOf("/");
  const [domain, rest] = [name.slice(0, slash), name.slice(slash + 1)];
  if (slash < 0 || domain === "" || rest === "") {
    return [invalid(field, name, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const errors = checkDns1123Subdomain(domain).map((why) => invalid(field, domain, why));
  if (path.test(rest)) return errors;
  return [
    ...errors,
    invalid(field, rest, `Invalid path (regex used for validation is '${PATH_CHARACTERS}')`),
  ];
}
