/** Checks of probes and lifecycle hooks (core `validation.go`). */
import type {
  ExecAction,
  GRPCAction,
  HTTPGetAction,
  Lifecycle,
  Probe,
  SleepAction,
  TCPSocketAction,
} from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, notSupported, required } from "../field-error.ts";
import type { IntOrString } from "../int-or-string.ts";
import { checkHttpHeaderName, checkPortName, checkPortNumber } from "../names.ts";
import type { Unchecked } from "./unchecked.ts";

interface AnyHandler {
  readonly exec?: ExecAction;
  readonly httpGet?: HTTPGetAction;
  readonly tcpSocket?: TCPSocketAction;
  readonly grpc?: GRPCAction;
  readonly sleep?: SleepAction;
}

type Handler = Unchecked<AnyHandler>;

export interface HandlerPlace {
  readonly path: string;
  /** The pod's terminationGracePeriodSeconds; undefined when it is missing, which is reported elsewhere. */
  readonly grace: number | undefined;
}

export function validatePort(port: IntOrString | undefined, path: string): FieldError[] {
  if (typeof port === "string") return invalidEach(path, port, checkPortName(port));
  return invalidEach(path, port ?? 0, checkPortNumber(port ?? 0));
}

function validateHandler(handler: Handler, { path, grace }: HandlerPlace): FieldError[] {
  const actions = (["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const).filter(
    (name) => handler[name] !== undefined,
  );
  const [first, ...further] = actions;
  if (first === undefined) return [required(path, "must specify a handler type")];
  const more = further.map((name) =>
    forbidden(`${path}.${name}`, "may not specify more than 1 handler type"),
  );
  return [...validateAction(handler, { path: `${path}.${first}`, grace }, first), ...more];
}

function validateAction(
  handler: Handler,
  { path, grace }: HandlerPlace,
  action: keyof Handler,
): FieldError[] {
  switch (action) {
    case "exec":
      return (handler.exec?.command ?? []).length === 0 ? [required(`${path}.command`)] : [];
    case "httpGet":
      return handler.httpGet === undefined ? [] : validateHttpGet(handler.httpGet, path);
    case "tcpSocket":
      return validatePort(handler.tcpSocket?.port, `${path}.port`);
    case "grpc":
      return validatePort(handler.grpc?.port, `${path}.port`);
    case "sleep":
    default:
      return validateSleep(handler.sleep?.seconds ?? 0, grace, path);
  }
}

function validateHttpGet(
  { path: url = "", port, scheme = "", httpHeaders = [] }: Unchecked<HTTPGetAction>,
  path: string,
): FieldError[] {
  return [
    ...(url === "" ? [required(`${path}.path`)] : []),
    ...validatePort(port, `${path}.port`),
    ...(scheme === "HTTP" || scheme === "HTTPS"
      ? []
      : [notSupported(`${path}.scheme`, scheme, ["HTTP", "HTTPS"])]),
    ...httpHeaders.flatMap(({ name = "" }) =>
      invalidEach(`${path}.httpHeaders`, name, checkHttpHeaderName(name)),
    ),
  ];
}

function validateSleep(seconds: number, grace: number | undefined, path: string): FieldError[] {
  if (grace === undefined || (seconds >= 0 && seconds <= grace)) return [];
  return [
    invalid(path, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${grace})`),
  ];
}

export function validateLifecycle(
  { postStart, preStop }: Unchecked<Lifecycle>,
  { path, grace }: HandlerPlace,
): FieldError[] {
  return [
    ...(postStart === undefined ? [] : validateHandler(postStart, { path: `${path}.postStart`, grace })),
    ...(preStop === undefined ? [] : validateHandler(preStop, { path: `${path}.preStop`, grace })),
  ];
}

const TIMINGS = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

function validateProbe(probe: Unchecked<Probe>, place: HandlerPlace): FieldError[] {
  const { path } = place;
  const errors = validateHandler(probe, place);
  for (const name of TIMINGS) {
    const value = probe[name] ?? 0;
    if (value < 0) errors.push(invalid(`${path}.${name}`, value, "must be greater than or equal to 0"));
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, "must be greater than 0"));
  }
  return errors;
}

interface AnyProbes {
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly startupProbe?: Probe;
}

export type Probes = Unchecked<AnyProbes>;

/** `path` is the container's. */
export function validateProbes(probes: Probes, { path, grace }: HandlerPlace): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = probes[name];
    if (probe === undefined) continue;
    const at = `${path}.${name}`;
    errors.push(...validateProbe(probe, { path: at, grace }));
    const own = probe.terminationGracePeriodSeconds;
    if (name === "readinessProbe") {
      if (own === undefined) continue;
      errors.push(invalid(`${at}.terminationGracePeriodSeconds`, own, "must not be set for readinessProbes"));
    } else if (probe.successThreshold !== 1) {
      errors.push(invalid(`${at}.successThreshold`, probe.successThreshold ?? 0, "must be 1"));
    }
  }
  return errors;
}
