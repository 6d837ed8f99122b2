/** What the checks of everything that makes pods from a template have in common (apps and batch `validation.go`). */
import type { LabelSelector, PodTemplateSpec, Volume } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, notSupported, required } from "../field-error.ts";
import { SelectorError } from "../label-requirement.ts";
import { labelSelectorOf } from "../selectors.ts";
import { validateAnnotations, validateLabels, validateLabelSelector } from "./labels.ts";
import { validatePodSpec } from "./pod-spec.ts";
import type { Unchecked } from "./unchecked.ts";

export type AnyTemplate = Unchecked<PodTemplateSpec>;
type AnySelector = Unchecked<LabelSelector>;

/** An object of a kind whose fields are all still to be checked. */
export interface Has<Spec> {
  readonly kind?: string;
  readonly spec?: Unchecked<Spec>;
}

/** `furtherVolumes` are mounted although the template does not have them. */
export function validateTemplate(
  template: AnyTemplate,
  path: string,
  furtherVolumes: readonly Unchecked<Volume>[] = [],
): FieldError[] {
  const { metadata = {}, spec = {} } = template;
  return [
    ...validateLabels(metadata.labels, `${path}.metadata.labels`),
    ...validateAnnotations(metadata.annotations, `${path}.metadata.annotations`),
    ...validatePodSpec(spec, { path: `${path}.spec`, isPod: false, podName: "", furtherVolumes }),
  ];
}

/** Whether a selector finds pods with these labels; undefined for a selector that is none. Without one, no pods are found. */
export function selects(
  selector: AnySelector | undefined,
  labels: Readonly<Record<string, string>> = {},
): boolean | undefined {
  try {
    return labelSelectorOf(selector as LabelSelector | undefined).matches(labels);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

export function refuseEmptySelector(selector: AnySelector, owner: string): FieldError[] {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  if (Object.keys(matchLabels).length + matchExpressions.length > 0) return [];
  return [invalid("spec.selector", selector, `empty selector is invalid for ${owner}`)];
}

export function mismatch(template: AnyTemplate, path: string): FieldError {
  const labels = template.metadata?.labels ?? null;
  return invalid(`${path}.metadata.labels`, labels, "`selector` does not match template `labels`");
}

interface Selecting {
  readonly selector?: AnySelector;
  readonly template?: AnyTemplate;
}

interface SelectedRules {
  /** As the refusal of an empty selector calls it. */
  readonly owner: string;
  /** Said of a selector that is none. */
  readonly broken: string;
  readonly furtherVolumes?: readonly Unchecked<Volume>[];
}

/** A selector that is empty or misses the template's own pods would make pods for ever. */
export function validateSelected(
  { selector, template = {} }: Selecting,
  { owner, broken, furtherVolumes }: SelectedRules,
): FieldError[] {
  const path = "spec.template";
  const errors =
    selector === undefined
      ? [required("spec.selector")]
      : [...validateLabelSelector(selector, "spec.selector"), ...refuseEmptySelector(selector, owner)];
  const isFound = selects(selector, template.metadata?.labels);
  if (isFound === undefined) return [...errors, invalid("spec.selector", selector, broken)];
  if (!isFound) errors.push(mismatch(template, path));
  return [...errors, ...validateTemplate(template, path, furtherVolumes)];
}

/** Pods that are replaced for ever may not end by themselves. `owner` is what the refusal names. */
export function refuseEnding({ spec = {} }: AnyTemplate, owner: string): FieldError[] {
  const path = "spec.template.spec";
  const { restartPolicy = "Always", activeDeadlineSeconds } = spec;
  const errors: FieldError[] = [];
  if (restartPolicy !== "Always")
    errors.push(notSupported(`${path}.restartPolicy`, restartPolicy, ["Always"]));
  if (activeDeadlineSeconds !== undefined) {
    const why = `activeDeadlineSeconds in ${owner} is not Supported`;
    errors.push(forbidden(`${path}.activeDeadlineSeconds`, why));
  }
  return errors;
}
