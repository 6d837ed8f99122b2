/** What of a Job stays as it was made, and what a suspended one may still change (`ValidateJobUpdate`). */
import type { PodSpec, PodTemplateSpec } from "../../../generated/kubernetes.ts";
import { type FieldError, invalid, required } from "../field-error.ts";
import { jsonEqual } from "../patch/json.ts";
import { type AnyJob, type AnyJobSpec, validateJobSpec } from "./jobs.ts";
import type { Unchecked } from "./unchecked.ts";

const IMMUTABLE = "field is immutable";
const FIXED = [
  "selector",
  "template",
  "completionMode",
  "podFailurePolicy",
  "backoffLimitPerIndex",
  "managedBy",
  "successPolicy",
] as const;

export function validateJobUpdate({ spec = {} }: AnyJob, before: AnyJob): FieldError[] {
  const old = before.spec ?? {};
  const errors = [...validateJobSpec(spec, "spec"), ...validateCompletions(spec, old)];
  for (const name of FIXED) {
    const allowed =
      name === "template" && mayReschedule(before) ? rescheduled(old.template, spec.template) : old[name];
    if (jsonEqual(spec[name], allowed)) continue;
    errors.push(invalid(`spec.${name}`, spec[name] ?? null, IMMUTABLE));
  }
  return errors;
}

/** Indexed Jobs may grow and shrink with their parallelism. */
function validateCompletions(spec: AnyJobSpec, old: AnyJobSpec): FieldError[] {
  const { completions, parallelism } = spec;
  const field = "spec.completions";
  if (completions === old.completions) return [];
  if (spec.completionMode !== "Indexed") return [invalid(field, completions ?? null, IMMUTABLE)];
  if (completions === undefined) return [required(field)];
  if (completions === parallelism) return [];
  return [invalid(field, completions, "can only be modified in tandem with spec.parallelism")];
}

interface OldStatus {
  readonly startTime?: string;
  readonly active?: number;
}

/** Only while nothing of it runs. */
function mayReschedule({ spec, status }: AnyJob): boolean {
  const { startTime, active = 0 } = (status ?? {}) as OldStatus;
  return spec?.suspend === true && startTime === undefined && active === 0;
}

const SCHEDULING = ["nodeSelector", "tolerations", "schedulingGates", "affinity"] as const;

type Template = Unchecked<PodTemplateSpec>;

/** The old template with what a queueing system may change: where pods go, their labels, and what they get (KEP-2926, KEP-5440). */
function rescheduled(old: Template = {}, next: Template = {}): Template {
  const metadata = { ...old.metadata, ...pick(next.metadata ?? {}, ["labels", "annotations"]) };
  const spec: Record<string, unknown> = { ...old.spec };
  for (const name of SCHEDULING) delete spec[name];
  return {
    ...old,
    metadata,
    spec: {
      ...spec,
      ...pick(next.spec ?? {}, SCHEDULING),
      ...resourcesOf(old.spec ?? {}, next.spec ?? {}, "containers"),
      ...resourcesOf(old.spec ?? {}, next.spec ?? {}, "initContainers"),
    },
  };
}

function resourcesOf(
  old: Unchecked<PodSpec>,
  next: Unchecked<PodSpec>,
  list: "containers" | "initContainers",
): Partial<Unchecked<PodSpec>> {
  const before = old[list];
  if (before === undefined) return {};
  return {
    [list]: before.map((container, index) => {
      const { resources: _, ...rest } = container;
      const resources = next[list]?.[index]?.resources;
      return resources === undefined ? rest : { ...rest, resources };
    }),
  };
}

function pick<Source extends object, Key extends keyof Source>(source: Source, keys: readonly Key[]) {
  const entries = keys.flatMap((key) => (source[key] === undefined ? [] : [[key, source[key]] as const]));
  return Object.fromEntries(entries) as Partial<Pick<Source, Key>>;
}
