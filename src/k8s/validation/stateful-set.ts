/** Checks of StatefulSets (apps `ValidateStatefulSet`): their order, their claims, and what of them may change. */
import type {
  PersistentVolumeClaim,
  StatefulSetPersistentVolumeClaimRetentionPolicy,
  StatefulSetUpdateStrategy,
} from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, notSupported, required } from "../field-error.ts";
import { jsonEqual } from "../patch/json.ts";
import { validateClaimSpec } from "./storage.ts";
import type { Unchecked } from "./unchecked.ts";
import { type Has, type ReplicatedSpec, validateNonNegative, validateReplicated } from "./workloads.ts";

interface Spec extends ReplicatedSpec {
  readonly podManagementPolicy?: string;
  readonly updateStrategy?: Unchecked<StatefulSetUpdateStrategy>;
  readonly persistentVolumeClaimRetentionPolicy?: StatefulSetPersistentVolumeClaimRetentionPolicy;
  readonly ordinals?: { readonly start?: number };
  readonly volumeClaimTemplates?: readonly Unchecked<PersistentVolumeClaim>[];
}
type StatefulSet = Has<Spec>;

export function validateStatefulSet({ spec = {} }: StatefulSet): FieldError[] {
  const { template = {}, volumeClaimTemplates: claims = [] } = spec;
  const own = template.spec?.volumes ?? [];
  // A pod of the set gets a volume for every claim, in place of the template's own of that name.
  const names = claims.map(({ metadata }) => metadata?.name ?? "");
  const volumes = [
    ...own.filter(({ name = "" }) => !names.includes(name)),
    ...names.map((name) => ({ name, emptyDir: {} })),
  ];
  const whole = { ...template, spec: { ...template.spec, volumes } };
  return [
    ...validatePolicies(spec),
    ...validateNonNegative({ "spec.ordinals.start": spec.ordinals?.start }),
    ...validateReplicated({ spec: { ...spec, template: whole } }, "StatefulSet"),
    ...claims.flatMap(({ spec: claim = {} }, index) =>
      validateClaimSpec(claim, `spec.volumeClaimTemplates[${index}].spec`),
    ),
  ];
}

function validatePolicies(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const { podManagementPolicy = "" } = spec;
  if (podManagementPolicy === "") errors.push(required("spec.podManagementPolicy"));
  else if (podManagementPolicy !== "OrderedReady" && podManagementPolicy !== "Parallel")
    errors.push(
      invalid("spec.podManagementPolicy", podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"),
    );
  errors.push(...validateUpdateStrategy(spec.updateStrategy ?? {}));
  const { whenDeleted = "Retain", whenScaled = "Retain" } = spec.persistentVolumeClaimRetentionPolicy ?? {};
  for (const [name, value] of Object.entries({ whenDeleted, whenScaled }))
    if (value !== "Retain" && value !== "Delete")
      errors.push(
        notSupported(`spec.persistentVolumeClaimRetentionPolicy.${name}`, value, ["Delete", "Retain"]),
      );
  return errors;
}

function validateUpdateStrategy(strategy: Unchecked<StatefulSetUpdateStrategy>): FieldError[] {
  const path = "spec.updateStrategy";
  const { type = "", rollingUpdate } = strategy;
  if (type === "") return [required(path)];
  if (type === "RollingUpdate")
    return validateNonNegative({ [`${path}.rollingUpdate.partition`]: rollingUpdate?.partition });
  if (type !== "OnDelete") return [invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")];
  if (rollingUpdate === undefined) return [];
  return [invalid(`${path}.rollingUpdate`, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")];
}

const MAY_CHANGE: ReadonlySet<string> = new Set([
  "replicas",
  "ordinals",
  "template",
  "updateStrategy",
  "revisionHistoryLimit",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
]);
const FIXED =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

export function validateStatefulSetUpdate(object: StatefulSet, before: StatefulSet): FieldError[] {
  const isSame = jsonEqual(fixedPart(object.spec), fixedPart(before.spec));
  return [...validateStatefulSet(object), ...(isSame ? [] : [forbidden("spec", FIXED)])];
}

function fixedPart(spec: Spec = {}): object {
  return Object.fromEntries(Object.entries(spec).filter(([name]) => !MAY_CHANGE.has(name)));
}
