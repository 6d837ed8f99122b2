/** Pieces of table cells that several kinds share, worded as Kubernetes words them (`printers/internalversion`). */
import type { LabelSelector, PodTemplateSpec } from "../../../../generated/kubernetes.ts";
import { ageOf } from "../../../k8s/duration.ts";
import type { ObjectMeta } from "../../../k8s/object.ts";
import { formatLabelSelector, labelSelectorOf } from "../../../k8s/selectors.ts";
import { SelectorError } from "../../../k8s/label-requirement.ts";
import { column } from "./table-printer.ts";

export function nameOf({ name }: ObjectMeta): string {
  return name ?? "";
}

export function age({ creationTimestamp }: ObjectMeta, now: number): string {
  return ageOf(creationTimestamp, now);
}

/** `a=b,c=d` by key, `<none>` for no labels. */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? "<none>" : pairs.sort().join(",");
}

/** `metav1.FormatLabelSelector`. */
export function formatSelector(selector: LabelSelector | undefined): string {
  return selectorText(selector) || "<none>";
}

/** The bare selector, empty when it selects everything. */
export function selectorText(selector: LabelSelector | undefined): string {
  try {
    return formatLabelSelector(labelSelectorOf(selector));
  } catch (error) {
    if (error instanceof SelectorError) return "<invalid>";
    throw error;
  }
}

/** Columns of `-o wide` of everything that makes pods. */
export const CONTAINERS = column("Containers", {
  wide: true,
  description: "Names of the template's containers",
});
export const IMAGES = column("Images", { wide: true, description: "Images of the template's containers" });
export const SELECTOR = column("Selector", { wide: true, description: "Which pods belong to the object" });

export function containerCells(template: PodTemplateSpec | undefined): [names: string, images: string] {
  const containers = template?.spec?.containers ?? [];
  const join = (texts: readonly string[]) => texts.join(",");
  return [join(containers.map(({ name }) => name)), join(containers.map(({ image }) => image ?? ""))];
}

/** The first three, and how many more there are. */
export function firstThree(texts: readonly string[], none: string): string {
  if (texts.length === 0) return none;
  const shown = texts.slice(0, 3).join(",");
  return texts.length > 3 ? `${shown} + ${texts.length - 3} more...` : shown;
}
