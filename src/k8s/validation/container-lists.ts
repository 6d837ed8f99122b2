/** Checks of a pod's containers by their role: main, init, sidecar, ephemeral (core `validation.go`; rules O5 to O7). */
import type { Container, EphemeralContainer } from "../../../generated/kubernetes.ts";
import { duplicate, type FieldError, forbidden, notFound, required } from "../field-error.ts";
import { type PodFacts, validateContainerCommon, validateHostPorts } from "./container.ts";
import { validateLifecycle, validateProbes } from "./handlers.ts";
import type { Unchecked } from "./unchecked.ts";

type AnyContainer = Unchecked<Container>;

function validateHooks(container: AnyContainer, path: string, { grace }: PodFacts): FieldError[] {
  const { lifecycle } = container;
  const hooks =
    lifecycle === undefined ? [] : validateLifecycle(lifecycle, { path: `${path}.lifecycle`, grace });
  return [...hooks, ...validateProbes(container, { path, grace })];
}

export function validateMainContainers(
  containers: readonly AnyContainer[],
  path: string,
  pod: PodFacts,
): FieldError[] {
  if (containers.length === 0) return [required(path)];
  const names = new Set<string>();
  const errors = containers.flatMap((container, index) => {
    const { name = "" } = container;
    const at = `${path}[${index}]`;
    const own = validateContainerCommon(container, at, pod);
    if (names.has(name)) own.push(duplicate(`${at}.name`, name));
    names.add(name);
    return [...own, ...validateHooks(container, at, pod)];
  });
  return [...errors, ...validateHostPorts(containers, path)];
}

const INIT_FORBIDDEN = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const;

export interface InitLists {
  readonly init: readonly AnyContainer[];
  readonly main: readonly AnyContainer[];
}

/** Only those that keep running may have hooks and probes. */
export function validateInitContainers({ init, main }: InitLists, path: string, pod: PodFacts): FieldError[] {
  const names = new Set(main.map(({ name }) => name));
  return init.flatMap((container, index) => {
    const { name = "" } = container;
    const at = `${path}[${index}]`;
    const errors = validateContainerCommon(container, at, pod);
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    else if (name !== "") names.add(name);
    errors.push(...validateHostPorts([container], path));
    if (container.restartPolicy === "Always") return [...errors, ...validateHooks(container, at, pod)];
    const message = "may not be set for init containers without restartPolicy=Always";
    const wrong = INIT_FORBIDDEN.filter((field) => container[field] !== undefined);
    return [...errors, ...wrong.map((field) => forbidden(`${at}.${field}`, message))];
  });
}

const EPHEMERAL_FORBIDDEN = [
  "ports",
  "resizePolicy",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
  "restartPolicy",
  "restartPolicyRules",
] as const;

export interface AllLists extends InitLists {
  readonly ephemeral: readonly Unchecked<EphemeralContainer>[];
}

/** Visitors (rule EC2): nothing of theirs may count for the pod. */
export function validateEphemeralContainers(
  { ephemeral, init, main }: AllLists,
  path: string,
  pod: PodFacts,
): FieldError[] {
  const others = new Set([...main, ...init].map(({ name }) => name ?? ""));
  const names = new Set(others);
  return ephemeral.flatMap((container, index) => {
    const { name = "", targetContainerName: target = "", volumeMounts = [], resources = {} } = container;
    const at = `${path}[${index}]`;
    const message = "cannot be set for an Ephemeral Container";
    const errors = validateContainerCommon(container, at, pod);
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    if (target !== "" && !others.has(target)) errors.push(notFound(`${at}.targetContainerName`, target));
    const set: string[] = EPHEMERAL_FORBIDDEN.filter((field) => container[field] !== undefined);
    if (Object.keys(resources).length > 0) set.push("resources");
    errors.push(...set.map((field) => forbidden(`${at}.${field}`, message)));
    for (const [nth, { subPath = "", subPathExpr = "" }] of volumeMounts.entries()) {
      const mount = `${at}.volumeMounts[${nth}]`;
      if (subPath !== "") errors.push(forbidden(`${mount}.subPath`, message));
      if (subPathExpr !== "") errors.push(forbidden(`${mount}.subPathExpr`, message));
    }
    return errors;
  });
}
