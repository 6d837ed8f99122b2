/** Checks that all containers share (core `validateContainerCommon`). */
import type {
  Container,
  ContainerPort,
  ContainerRestartRule,
  Volume,
} from "../../../generated/kubernetes.ts";
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
  tooMany,
} from "../field-error.ts";
import { checkDns1123Label, checkPortName, checkPortNumber } from "../names.ts";
import { validateEnv, validateEnvFrom } from "./env.ts";
import { validateDevices, validateMounts } from "./mounts.ts";
import { validateResources } from "./resources.ts";
import { validateSecurityContext } from "./security.ts";
import { requireOneOf } from "./one-of.ts";
import type { Unchecked } from "./unchecked.ts";

const PULL_POLICIES = ["Always", "IfNotPresent", "Never"];
const MESSAGE_POLICIES = ["File", "FallbackToLogsOnError"];
const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const RESTART_POLICIES = ["Always", "Never", "OnFailure"];
const RULE_ACTIONS = ["Restart", "RestartAllContainers"];
const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;

/** What a container's checks have to know of its pod. */
export interface PodFacts {
  readonly volumes: ReadonlyMap<string, Unchecked<Volume>>;
  /** terminationGracePeriodSeconds. */
  readonly grace: number | undefined;
  readonly hostUsers: boolean;
  readonly osName: string | undefined;
  /** False for templates, which may hold images padded with blanks. */
  readonly isPod: boolean;
}

export function validateContainerCommon(
  container: Unchecked<Container>,
  path: string,
  pod: PodFacts,
): FieldError[] {
  const { name = "", ports = [], env = [], envFrom = [], resources = {} } = container;
  const { volumes, hostUsers } = pod;
  return [
    ...(name === ""
      ? [required(`${path}.name`)]
      : invalidEach(`${path}.name`, name, checkDns1123Label(name))),
    ...validateImage(container, path, pod),
    ...requireOneOf(container.terminationMessagePolicy, MESSAGE_POLICIES, `${path}.terminationMessagePolicy`),
    ...validatePorts(ports, `${path}.ports`),
    ...validateEnv(env, `${path}.env`),
    ...validateEnvFrom(envFrom, `${path}.envFrom`),
    ...validateMounts(container, { path, volumes }),
    ...validateDevices(container, { path, volumes }),
    ...requireOneOf(container.imagePullPolicy, PULL_POLICIES, `${path}.imagePullPolicy`),
    ...validateResources(resources, `${path}.resources`),
    ...validateSecurityContext(container.securityContext, { path: `${path}.securityContext`, hostUsers }),
    ...validateRestart(container, path),
    ...validateStopSignal(container, `${path}.lifecycle.stopSignal`, pod.osName),
  ];
}

function validateImage(
  { image = "" }: Unchecked<Container>,
  path: string,
  { isPod }: PodFacts,
): FieldError[] {
  if (image === "") return [required(`${path}.image`)];
  const padded = isPod && image.trim() !== image;
  return padded ? [invalid(`${path}.image`, image, "must not have leading or trailing whitespace")] : [];
}

function validatePorts(ports: readonly Unchecked<ContainerPort>[], path: string): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap(({ name = "", containerPort = 0, hostPort = 0, protocol }, index) => {
    const at = `${path}[${index}]`;
    const errors = name === "" ? [] : invalidEach(`${at}.name`, name, checkPortName(name));
    if (errors.length === 0 && names.has(name)) errors.push(duplicate(`${at}.name`, name));
    if (name !== "") names.add(name);
    if (containerPort === 0) errors.push(required(`${at}.containerPort`));
    else errors.push(...invalidEach(`${at}.containerPort`, containerPort, checkPortNumber(containerPort)));
    if (hostPort !== 0) errors.push(...invalidEach(`${at}.hostPort`, hostPort, checkPortNumber(hostPort)));
    return [...errors, ...requireOneOf(protocol, PROTOCOLS, `${at}.protocol`)];
  });
}

/** KEP-753 and KEP-5307: rules of a container's own, which need a policy to depart from. */
function validateRestart(
  { restartPolicy, restartPolicyRules }: Unchecked<Container>,
  path: string,
): FieldError[] {
  const field = `${path}.restartPolicy`;
  const errors: FieldError[] = [];
  if (restartPolicy !== undefined && !RESTART_POLICIES.includes(restartPolicy)) {
    errors.push(notSupported(field, restartPolicy, RESTART_POLICIES));
  }
  if (restartPolicyRules === undefined || restartPolicyRules.length === 0) return errors;
  if (restartPolicy === undefined) {
    errors.push(required(field, "must specify restartPolicy when restart rules are used"));
  }
  const rules = `${path}.restartPolicyRules`;
  if (restartPolicyRules.length > MAX_RULES)
    errors.push(tooMany(rules, restartPolicyRules.length, MAX_RULES));
  return [
    ...errors,
    ...restartPolicyRules.flatMap((rule, index) => validateRule(rule, `${rules}[${index}]`)),
  ];
}

function validateRule({ action, exitCodes }: Unchecked<ContainerRestartRule>, path: string): FieldError[] {
  const errors = requireOneOf(action, RULE_ACTIONS, `${path}.action`);
  if (action === "RestartAllContainers") {
    const detail = "Pillion does not support RestartAllContainers (KEP-5532), only Restart";
    errors.push(forbidden(`${path}.action`, detail));
  }
  if (exitCodes === undefined) return [...errors, required(`${path}.exitCodes`, "must be specified")];
  const { operator, values = [] } = exitCodes;
  errors.push(...requireOneOf(operator, ["In", "NotIn"], `${path}.exitCodes.operator`));
  const field = `${path}.exitCodes.values`;
  if (values.length === 0) errors.push(invalid(field, values, "must specify at least one value"));
  if (values.length > MAX_EXIT_CODES) errors.push(tooMany(field, values.length, MAX_EXIT_CODES));
  return errors;
}

/** Signals differ by system, so that the pod has to say which one it is for (KEP-4960). */
function validateStopSignal(
  { lifecycle }: Unchecked<Container>,
  field: string,
  osName: string | undefined,
): FieldError[] {
  const signal = lifecycle?.stopSignal;
  if (signal === undefined) return [];
  if (osName === undefined || osName === "") {
    return [forbidden(field, "may not be set for containers with empty `spec.os.name`")];
  }
  return /^SIG[A-Z0-9]+(?:[+-]\d+)?$/.test(signal)
    ? []
    : [invalid(field, signal, "must be the name of a signal")];
}

/** Ports of the host that several of the containers want. */
export function validateHostPorts(containers: readonly Unchecked<Container>[], path: string): FieldError[] {
  const taken = new Set<string>();
  return containers.flatMap(({ ports = [] }, index) =>
    ports.flatMap(({ hostPort = 0, hostIP = "", protocol = "" }, nth) => {
      const key = `${protocol}/${hostIP}/${hostPort}`;
      const again = hostPort !== 0 && taken.has(key);
      taken.add(key);
      return again ? [duplicate(`${path}[${index}].ports[${nth}].hostPort`, key)] : [];
    }),
  );
}
