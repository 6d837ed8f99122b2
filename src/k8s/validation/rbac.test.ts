import { expect, test } from "bun:test";
import { faultsOfChange, faultsOfNew, type Fields, objectOf } from "./validation.test-support.ts";

const GROUP = "rbac.authorization.k8s.io";
const ROLE = `${GROUP}/v1 Role`;
const CLUSTER_ROLE = `${GROUP}/v1 ClusterRole`;
const BINDING = `${GROUP}/v1 RoleBinding`;

const rules = (rule: object) => ({ rules: [rule] });
const roleRef = { apiGroup: GROUP, kind: "Role", name: "reader" };
const account = { kind: "ServiceAccount", name: "web", namespace: "shop" };

test.each<[string, Fields, string[]]>([
  [ROLE, rules({ verbs: ["get"], apiGroups: [""], resources: ["pods"] }), []],
  [
    ROLE,
    rules({}),
    [
      "rules[0].verbs: Required value: verbs must contain at least one value",
      "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
      "rules[0].resources: Required value: resource rules must supply at least one resource",
    ],
  ],
  [
    ROLE,
    rules({ verbs: ["get"], nonResourceURLs: ["/healthz"], resources: ["pods"] }),
    [
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs',
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and non-resource URLs',
    ],
  ],
  [BINDING, { roleRef, subjects: [account, { kind: "User", name: "me" }] }, []],
  [
    BINDING,
    {
      roleRef: { kind: "Group", apiGroup: "other" },
      subjects: [
        { ...account, name: "A" },
        { kind: "Robot", name: "r" },
        { kind: "User", apiGroup: "x" },
      ],
    },
    [
      `roleRef.apiGroup: Unsupported value: "other": supported values: "${GROUP}"`,
      'roleRef.kind: Unsupported value: "Group": supported values: "Role", "ClusterRole"',
      "roleRef.name: Required value",
      expect.stringContaining('subjects[0].name: Invalid value: "A": a lowercase RFC 1123 subdomain must'),
      'subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
      "subjects[2].name: Required value",
      `subjects[2].apiGroup: Unsupported value: "x": supported values: "${GROUP}"`,
    ],
  ],
])("a %s, case %#", (type, fields, expected) => {
  expect(faultsOfNew(objectOf(type, fields))).toEqual(expected);
});

test("what has no namespace may speak of URLs, and adds up others", () => {
  const whole = (fields: Fields) => ({ ...objectOf(CLUSTER_ROLE, fields), metadata: { name: "x" } });
  const good = whole(rules({ verbs: ["get"], nonResourceURLs: ["/healthz"] }));
  expect(faultsOfChange(good, good)).toEqual([]);
  const sum = (...clusterRoleSelectors: object[]) => whole({ aggregationRule: { clusterRoleSelectors } });
  expect(faultsOfChange(sum(), good)).toEqual([
    "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
  ]);
  const wrong = sum({ matchExpressions: [{ key: "a", operator: "Like" }] });
  expect(faultsOfChange(wrong, good)).toEqual([
    'aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
  ]);
});

test("a binding stays one to its role, whoever is bound", () => {
  const before = objectOf(BINDING, { roleRef, subjects: [account] });
  expect(faultsOfChange(objectOf(BINDING, { roleRef }), before)).toEqual([]);
  const other = { ...roleRef, name: "writer" };
  expect(faultsOfChange(objectOf(BINDING, { roleRef: other }), before)).toEqual([
    `roleRef: Invalid value: {"apiGroup":"${GROUP}","kind":"Role","name":"writer"}: cannot change roleRef`,
  ]);
});
