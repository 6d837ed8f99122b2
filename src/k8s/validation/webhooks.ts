/** Checks of webhook configurations (admissionregistration `validation.go`, apiserver `util/webhook/validation.go`). */
import { duplicate, type FieldError, invalid, invalidEach, required, tooMany } from "../field-error.ts";
import { checkDns1035Label, checkDns1123Subdomain, checkQualifiedName, rangeMessage } from "../names.ts";
import type { KubeObject } from "../object.ts";
import { conditionProblem } from "../webhooks/match-conditions.ts";
import {
  REVIEW_VERSIONS,
  type WebhookFields,
  type WebhookRule,
  type WebhookService,
} from "../webhooks/webhook.ts";
import { validateLabelSelector } from "./labels.ts";
import { allowOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";

const FAILURE_POLICIES = ["Fail", "Ignore"];
const MATCH_POLICIES = ["Equivalent", "Exact"];
const SIDE_EFFECTS = ["None", "NoneOnDryRun"];
const REINVOCATION_POLICIES = ["IfNeeded", "Never"];
const OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES = ["*", "Cluster", "Namespaced"];
const MOST_SECONDS = 30;

type Hook = Unchecked<WebhookFields>;

export function validateWebhookConfiguration(object: KubeObject): FieldError[] {
  const { webhooks = [] } = object as { readonly webhooks?: readonly Hook[] };
  const isMutating = object.kind === "MutatingWebhookConfiguration";
  const seen = new Set<string>();
  return webhooks.flatMap((hook, index) => {
    const path = `webhooks[${index}]`;
    const { name = "" } = hook;
    const isDouble = name !== "" && seen.has(name);
    seen.add(name);
    return [
      ...validateWebhook(hook, path, isMutating),
      ...validateReviewVersions(hook.admissionReviewVersions ?? [], `${path}.admissionReviewVersions`),
      ...(isDouble ? [duplicate(`${path}.name`, name)] : []),
    ];
  });
}

function validateWebhook(hook: Hook, path: string, isMutating: boolean): FieldError[] {
  const { rules = [], sideEffects, timeoutSeconds = MOST_SECONDS } = hook;
  const errors = [
    ...validateQualifiedName(hook.name ?? "", `${path}.name`),
    ...rules.flatMap((rule, index) => validateRule(rule, `${path}.rules[${index}]`)),
    ...allowOneOf(hook.failurePolicy, FAILURE_POLICIES, `${path}.failurePolicy`),
    ...allowOneOf(hook.matchPolicy, MATCH_POLICIES, `${path}.matchPolicy`),
    ...allowOneOf(sideEffects, SIDE_EFFECTS, `${path}.sideEffects`),
  ];
  if (sideEffects === undefined)
    errors.push(required(`${path}.sideEffects`, `must specify one of ${SIDE_EFFECTS.join(", ")}`));
  if (timeoutSeconds < 1 || timeoutSeconds > MOST_SECONDS) {
    const why = "the timeout value must be between 1 and 30 seconds";
    errors.push(invalid(`${path}.timeoutSeconds`, timeoutSeconds, why));
  }
  errors.push(
    ...validateLabelSelector(hook.namespaceSelector, `${path}.namespaceSelector`),
    ...validateLabelSelector(hook.objectSelector, `${path}.objectSelector`),
    ...(isMutating
      ? allowOneOf(hook.reinvocationPolicy, REINVOCATION_POLICIES, `${path}.reinvocationPolicy`)
      : []),
    ...validateClientConfig(hook.clientConfig ?? {}, `${path}.clientConfig`),
  );
  return [...errors, ...validateConditions(hook.matchConditions ?? [], `${path}.matchConditions`)];
}

const MOST_CONDITIONS = 64;

function validateConditions(conditions: NonNullable<Hook["matchConditions"]>, path: string): FieldError[] {
  const errors =
    conditions.length > MOST_CONDITIONS ? [tooMany(path, conditions.length, MOST_CONDITIONS)] : [];
  const seen = new Set<string>();
  for (const [index, { name = "", expression = "" }] of conditions.entries()) {
    const at = `${path}[${index}]`;
    const trimmed = expression.trim();
    const problem = trimmed === "" ? undefined : conditionProblem(trimmed);
    if (trimmed === "") errors.push(required(`${at}.expression`));
    if (problem !== undefined) errors.push(invalid(`${at}.expression`, trimmed, problem));
    const wrong = checkQualifiedName(name);
    if (name === "") errors.push(required(`${at}.name`));
    else if (wrong.length > 0) errors.push(invalid(`${at}.name`, name, wrong.join(",")));
    if (name !== "" && seen.has(name)) errors.push(duplicate(`${at}.name`, name));
    seen.add(name);
  }
  return errors;
}

/** `IsFullyQualifiedName`. */
function validateQualifiedName(name: string, path: string): FieldError[] {
  if (name === "") return [required(path)];
  const wrong = checkDns1123Subdomain(name);
  if (wrong.length > 0) return [invalid(path, name, wrong.join(","))];
  if (name.split(".").length >= 3) return [];
  return [invalid(path, name, "should be a domain with at least three segments separated by dots")];
}

function validateRule(rule: Unchecked<WebhookRule>, path: string): FieldError[] {
  const { operations = [], apiGroups = [], apiVersions = [], scope } = rule;
  return [
    ...(operations.length === 0 ? [required(`${path}.operations`)] : []),
    ...aloneOrAbsent(operations, "operations", `${path}.operations`),
    ...operations.flatMap((one, index) => allowOneOf(one, OPERATIONS, `${path}.operations[${index}]`)),
    ...(apiGroups.length === 0 ? [required(`${path}.apiGroups`)] : []),
    ...aloneOrAbsent(apiGroups, "API groups", `${path}.apiGroups`),
    ...(apiVersions.length === 0 ? [required(`${path}.apiVersions`)] : []),
    ...aloneOrAbsent(apiVersions, "API versions", `${path}.apiVersions`),
    ...apiVersions.flatMap((one, index) => (one === "" ? [required(`${path}.apiVersions[${index}]`)] : [])),
    ...validateResources(rule.resources ?? [], `${path}.resources`),
    ...allowOneOf(scope, SCOPES, `${path}.scope`),
  ];
}

function aloneOrAbsent(items: readonly string[], what: string, path: string): FieldError[] {
  if (items.length < 2 || !items.includes("*")) return [];
  return [invalid(path, items, `if '*' is present, must not specify other ${what}`)];
}

function validateResources(resources: readonly string[], path: string): FieldError[] {
  const errors = resources.length === 0 ? [required(path)] : [];
  const allOf = new Set<string>();
  const everywhere = new Set<string>();
  let hasPlain = false;
  for (const [index, text] of resources.entries()) {
    const at = `${path}[${index}]`;
    const slash = text.indexOf("/");
    if (text === "") errors.push(required(at));
    else if (slash < 0) hasPlain = text !== "*";
    else {
      const [resource, sub] = [text.slice(0, slash), text.slice(slash + 1)];
      if (allOf.has(resource))
        errors.push(invalid(at, text, `if '${resource}/*' is present, must not specify ${text}`));
      if (everywhere.has(sub))
        errors.push(invalid(at, text, `if '*/${sub}' is present, must not specify ${text}`));
      if (sub === "*") allOf.add(resource);
      if (resource === "*") everywhere.add(sub);
    }
  }
  if (resources.length > 1 && resources.includes("*/*"))
    errors.push(invalid(path, resources, "if '*/*' is present, must not specify other resources"));
  if (resources.includes("*") && hasPlain) {
    const why = "if '*' is present, must not specify other resources without subresources";
    errors.push(invalid(path, resources, why));
  }
  return errors;
}

function validateReviewVersions(versions: readonly string[], path: string): FieldError[] {
  const known = REVIEW_VERSIONS.join(", ");
  if (versions.length === 0) return [required(path, `must specify one of ${known}`)];
  const errors = versions.flatMap((version, index) =>
    versions.indexOf(version) < index
      ? [invalid(`${path}[${index}]`, version, "duplicate version")]
      : invalidEach(`${path}[${index}]`, version, checkDns1035Label(version)),
  );
  if (REVIEW_VERSIONS.some((version) => versions.includes(version))) return errors;
  return [...errors, invalid(path, versions, `must include at least one of ${known}`)];
}

function validateClientConfig(
  { url, service }: NonNullable<Hook["clientConfig"]>,
  path: string,
): FieldError[] {
  if ((url === undefined) === (service === undefined))
    return [required(path, "exactly one of url or service is required")];
  return url === undefined
    ? validateService(service ?? {}, `${path}.service`)
    : validateUrl(url, `${path}.url`);
}

const FORM = "; desired format: https://host[/path]";

function validateUrl(url: string, path: string): FieldError[] {
  const found = /^(?:([a-z][a-z\d+.-]*):)?(?:\/\/([^/?#]*))?[^?#]*(\?[^#]*)?(#.*)?$/is.exec(url);
  const [, scheme = "", authority = "", query = "", fragment = ""] = found ?? [];
  const at = authority.lastIndexOf("@");
  const [user, host] = at < 0 ? ["", authority] : [authority.slice(0, at), authority.slice(at + 1)];
  const badPort = /:(?!\d*$)[^\]]*$/.exec(host)?.[0];
  if (badPort !== undefined) {
    const why = `parse "${url}": invalid port "${badPort}" after host`;
    return [required(path, `url must be a valid URL: ${why}${FORM}`)];
  }
  const errors: FieldError[] = [];
  if (scheme.toLowerCase() !== "https")
    errors.push(invalid(path, scheme.toLowerCase(), `'https' is the only allowed URL scheme${FORM}`));
  if (host === "") errors.push(invalid(path, host, `host must be provided${FORM}`));
  if (at >= 0) errors.push(invalid(path, user, "user information is not permitted in the URL"));
  if (fragment.length > 1)
    errors.push(invalid(path, fragment.slice(1), "fragments are not permitted in the URL"));
  if (query.length > 1)
    errors.push(invalid(path, query.slice(1), "query parameters are not permitted in the URL"));
  return errors;
}

const HTTPS_PORT = 443;
const MOST_PORT = 65_535;

function validateService(
  { name = "", namespace = "", path: at, port = HTTPS_PORT }: Unchecked<WebhookService>,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (name === "") errors.push(required(`${path}.name`, "service name is required"));
  if (namespace === "") errors.push(required(`${path}.namespace`, "service namespace is required"));
  if (port < 1 || port > MOST_PORT)
    errors.push(invalid(`${path}.port`, port, `port is not valid: ${rangeMessage(1, MOST_PORT)}`));
  return at === undefined || at === "" || at === "/"
    ? errors
    : [...errors, ...validatePath(at, `${path}.path`)];
}

function validatePath(text: string, path: string): FieldError[] {
  if (text === "//") return [invalid(path, text, "segment[0] may not be empty")];
  const errors = text.startsWith("/") ? [] : [invalid(path, text, "must start with a '/'")];
  const steps = text.slice(1).replace(/\/$/, "").split("/");
  return [
    ...errors,
    ...steps.flatMap((step, index) =>
      step === ""
        ? [invalid(path, text, `segment[${index}] may not be empty`)]
        : checkDns1123Subdomain(step).map((why) => invalid(path, text, `segment[${index}]: ${why}`)),
    ),
  ];
}
