/** Checks of StatefulSets, and which of their fields may change (apps `ValidateStatefulSetSpec`, `ValidateStatefulSetUpdate`). */
import type {
  PersistentVolumeClaim,
  StatefulSetPersistentVolumeClaimRetentionPolicy,
  StatefulSetSpec,
  StatefulSetUpdateStrategy,
  Volume,
} from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidEach, required } from "../field-error.ts";
import { checkDns1035Label, checkDns1123Label } from "../names.ts";
import { jsonEqual } from "../patch/json.ts";
import { allowOneOf } from "./one-of.ts";
import { isNothing, refuseOverAll, validateAmount, validateCounts } from "./pod-amount.ts";
import { validateClaimSpec } from "./storage.ts";
import type { Unchecked } from "./unchecked.ts";
import { type Has, refuseEnding, validateSelected } from "./workloads.ts";

type Spec = Unchecked<StatefulSetSpec>;

const STRATEGY = "spec.updateStrategy";
const ORDERS = ["OrderedReady", "Parallel"];
const RETENTIONS = ["Retain", "Delete"];
/** What may change, in the order in which the refusal of everything else lists it. */
const CHANGING = [
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
] as const;

export function validateStatefulSet({ spec = {} }: Has<StatefulSetSpec>): FieldError[] {
  const { serviceName = "", volumeClaimTemplates: claims = [] } = spec;
  return [
    ...(serviceName === ""
      ? []
      : invalidEach("spec.serviceName", serviceName, checkDns1035Label(serviceName))),
    ...claims.flatMap((claim, index) => validateClaimTemplate(claim, `spec.volumeClaimTemplates[${index}]`)),
    ...validateUnnamed(spec),
  ];
}

/** What a stored set was made with stays good, as long as it stays. */
export function validateStatefulSetUpdate(
  { spec = {} }: Has<StatefulSetSpec>,
  before: Has<StatefulSetSpec>,
): FieldError[] {
  const errors = validateUnnamed(spec);
  if (jsonEqual(fixedPart(spec), fixedPart(before.spec ?? {}))) return errors;
  const [last, ...others] = CHANGING.map((name) => `'${name}'`).toReversed();
  const list = `${others.toReversed().join(", ")} and ${last}`;
  const why = `updates to statefulset spec for fields other than ${list} are forbidden`;
  return [...errors, forbidden("spec", why)];
}

function fixedPart(spec: Spec): object {
  return Object.fromEntries(
    Object.entries(spec).filter(([name]) => !CHANGING.some((changing) => changing === name)),
  );
}

function validateUnnamed(spec: Spec): FieldError[] {
  const { updateStrategy = {}, ordinals = {}, template = {} } = spec;
  return [
    ...validateOrder(spec.podManagementPolicy ?? ""),
    ...validateStrategy(updateStrategy),
    ...validateRetention(spec.persistentVolumeClaimRetentionPolicy),
    ...validateCounts(spec, ["replicas", "minReadySeconds"], "spec"),
    ...validateCounts(ordinals, ["start"], "spec.ordinals"),
    ...validateCounts(spec, ["revisionHistoryLimit"], "spec"),
    ...validateSelected(spec, { owner: "statefulset", broken: "", furtherVolumes: claimVolumes(spec) }),
    ...refuseEnding(template, "StatefulSet"),
  ];
}

/** Every pod gets these, whatever its template says. */
function claimVolumes({ volumeClaimTemplates = [] }: Spec): Unchecked<Volume>[] {
  return volumeClaimTemplates.map(({ metadata }) => ({
    name: metadata?.name ?? "",
    persistentVolumeClaim: {},
  }));
}

function validateOrder(policy: string): FieldError[] {
  const field = "spec.podManagementPolicy";
  if (policy === "") return [required(field)];
  return ORDERS.includes(policy) ? [] : [invalid(field, policy, "must be 'OrderedReady' or 'Parallel'")];
}

function validateStrategy(strategy: Unchecked<StatefulSetUpdateStrategy>): FieldError[] {
  const { type = "", rollingUpdate } = strategy;
  if (type === "") return [required(STRATEGY)];
  const field = `${STRATEGY}.rollingUpdate`;
  if (type === "OnDelete") {
    if (rollingUpdate === undefined) return [];
    return [invalid(field, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")];
  }
  if (type !== "RollingUpdate") return [invalid(STRATEGY, strategy, "must be 'RollingUpdate' or 'OnDelete'")];
  const errors = validateCounts(rollingUpdate ?? {}, ["partition"], field);
  const { maxUnavailable } = rollingUpdate ?? {};
  if (maxUnavailable === undefined) return errors;
  const at = `${field}.maxUnavailable`;
  errors.push(...validateAmount(maxUnavailable, at));
  if (isNothing(maxUnavailable)) errors.push(invalid(at, maxUnavailable, "cannot be 0"));
  return [...errors, ...refuseOverAll(maxUnavailable, at)];
}

function validateRetention(
  policy: Unchecked<StatefulSetPersistentVolumeClaimRetentionPolicy> | undefined,
): FieldError[] {
  if (policy === undefined) return [];
  return (["whenDeleted", "whenScaled"] as const).flatMap((name) =>
    allowOneOf(policy[name] ?? "", RETENTIONS, `spec.persistentVolumeClaimRetentionPolicy.${name}`),
  );
}

/** The name becomes that of a volume of every pod. */
function validateClaimTemplate(
  { metadata = {}, spec = {} }: Unchecked<PersistentVolumeClaim>,
  path: string,
): FieldError[] {
  const { name = "" } = metadata;
  const field = `${path}.metadata.name`;
  const errors = name === "" ? [required(field)] : invalidEach(field, name, checkDns1123Label(name));
  return [...errors, ...validateClaimSpec(spec, `${path}.spec`)];
}
