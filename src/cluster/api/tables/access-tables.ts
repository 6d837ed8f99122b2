/** Tables of who may do what, and of what watches over requests. */
import type { LabelSelector } from "../../../../generated/kubernetes.ts";
import { humanDuration } from "../../../k8s/duration.ts";
import { age, nameOf, selectorText } from "./cell-text.ts";
import { AGE, column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";

interface Binding {
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
}

const bindingPrinter = definePrinter<Binding>(
  [
    NAME,
    column("Role"),
    AGE,
    column("Users", { wide: true }),
    column("Groups", { wide: true }),
    column("ServiceAccounts", { wide: true }),
  ],
  ({ metadata, roleRef, subjects = [] }, now) => {
    const named = (kind: string) => subjects.filter((subject) => subject.kind === kind);
    const names = (kind: string) =>
      named(kind)
        .map(({ name }) => name)
        .join(", ");
    return [
      nameOf(metadata),
      `${roleRef?.kind ?? ""}/${roleRef?.name ?? ""}`,
      age(metadata, now),
      names("User"),
      names("Group"),
      named("ServiceAccount")
        .map(({ namespace, name }) => `${namespace ?? ""}/${name}`)
        .join(", "),
    ];
  },
);

interface SigningRequest {
  readonly spec?: {
    readonly signerName?: string;
    readonly username?: string;
    readonly expirationSeconds?: number;
  };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string }[];
    readonly certificate?: string;
  };
}

const signingRequestPrinter = definePrinter<SigningRequest>(
  [NAME, AGE, column("SignerName"), column("Requestor"), column("RequestedDuration"), column("Condition")],
  ({ metadata, spec = {}, status }, now) => [
    nameOf(metadata),
    age(metadata, now),
    spec.signerName || "<none>",
    spec.username ?? "",
    spec.expirationSeconds === undefined ? "<none>" : humanDuration(spec.expirationSeconds * 1000),
    signingStatus(status),
  ],
);

function signingStatus(status: SigningRequest["status"]): string {
  const has = (type: string) => status?.conditions?.some((condition) => condition.type === type) === true;
  const decision = has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending";
  return `${decision}${has("Failed") ? ",Failed" : ""}${status?.certificate ? ",Issued" : ""}`;
}

const webhookPrinter = definePrinter<{ readonly webhooks?: readonly unknown[] }>(
  [NAME, column("Webhooks", { type: "integer" }), AGE],
  ({ metadata, webhooks }, now) => [nameOf(metadata), webhooks?.length ?? 0, age(metadata, now)],
);

interface AdmissionPolicy {
  readonly spec?: {
    readonly validations?: readonly unknown[];
    readonly mutations?: readonly unknown[];
    readonly paramKind?: { readonly apiVersion?: string; readonly kind?: string };
  };
}

function policyPrinter(countName: "Validations" | "Mutations"): TablePrinter {
  return definePrinter<AdmissionPolicy>(
    [NAME, column(countName, { type: "integer" }), column("ParamKind"), AGE],
    ({ metadata, spec = {} }, now) => {
      const rules = countName === "Validations" ? spec.validations : spec.mutations;
      const { paramKind } = spec;
      const param =
        paramKind === undefined ? "<unset>" : `${paramKind.apiVersion ?? ""}/${paramKind.kind ?? ""}`;
      return [nameOf(metadata), rules?.length ?? 0, param, age(metadata, now)];
    },
  );
}

interface PolicyBinding {
  readonly spec?: {
    readonly policyName?: string;
    readonly paramRef?: {
      readonly namespace?: string;
      readonly name?: string;
      readonly selector?: LabelSelector;
    };
  };
}

const policyBindingPrinter = definePrinter<PolicyBinding>(
  [NAME, column("PolicyName"), column("ParamRef"), AGE],
  ({ metadata, spec = {} }, now) => {
    const { namespace, name, selector } = spec.paramRef ?? {};
    const bySelector = selector === undefined ? "<unset>" : selectorText(selector);
    const param = name ? `${namespace || "*"}/${name}` : bySelector;
    return [nameOf(metadata), spec.policyName ?? "", param, age(metadata, now)];
  },
);

interface ApiService {
  readonly spec?: { readonly service?: { readonly namespace?: string; readonly name?: string } };
  readonly status?: { readonly conditions?: readonly { type: string; status: string; reason?: string }[] };
}

const apiServicePrinter = definePrinter<ApiService>(
  [NAME, column("Service"), column("Available"), AGE],
  ({ metadata, spec, status }, now) => {
    const { service } = spec ?? {};
    const available = status?.conditions?.find(({ type }) => type === "Available");
    const state = available === undefined ? "Unknown" : available.status;
    return [
      nameOf(metadata),
      service === undefined ? "Local" : `${service.namespace ?? ""}/${service.name ?? ""}`,
      state === "True" || available?.reason === undefined ? state : `${state} (${available.reason})`,
      age(metadata, now),
    ];
  },
);

export const accessTables: Readonly<Record<string, TablePrinter>> = {
  "rolebindings.rbac.authorization.k8s.io": bindingPrinter,
  "clusterrolebindings.rbac.authorization.k8s.io": bindingPrinter,
  "certificatesigningrequests.certificates.k8s.io": signingRequestPrinter,
  "mutatingwebhookconfigurations.admissionregistration.k8s.io": webhookPrinter,
  "validatingwebhookconfigurations.admissionregistration.k8s.io": webhookPrinter,
  "validatingadmissionpolicies.admissionregistration.k8s.io": policyPrinter("Validations"),
  "validatingadmissionpolicybindings.admissionregistration.k8s.io": policyBindingPrinter,
  "mutatingadmissionpolicies.admissionregistration.k8s.io": policyPrinter("Mutations"),
  "mutatingadmissionpolicybindings.admissionregistration.k8s.io": policyBindingPrinter,
  "apiservices.apiregistration.k8s.io": apiServicePrinter,
};
