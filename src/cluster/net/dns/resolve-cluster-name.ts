/** What the cluster itself answers to a DNS question: Kubernetes' DNS specification 1.1.0, read from the cluster's objects. */
import { parseIpv4, type Ipv4Range, rangeSize } from "../../../lib/ipv4.ts";
import type { ClusterView } from "./cluster-view.ts";
import { CLASS_IN, type Question, type RecordValue, type ResourceRecord, TYPE } from "./dns-message.ts";
import { type DomainName, labelsBelow, nameOf } from "./domain-name.ts";
import { reversedIpv4 } from "./ip-bytes.ts";
import { podAnswer } from "./pod-answer.ts";
import { pointersTo } from "./reverse-answer.ts";
import { serviceAnswer } from "./service-answer.ts";

/** Seconds that an answer may be kept; as short as CoreDNS has it, because pods come and go. */
const TTL_SECONDS = 5;
const SCHEMA_VERSION = "1.1.0";
const REVERSE_ZONE = nameOf("in-addr.arpa");

export interface ClusterZone {
  /** `cluster.local`. */
  readonly domain: DomainName;
  /** The address of cluster DNS itself. */
  readonly serverIp: string;
  /** Whatever has no name in there has none at all: nobody outside is asked. */
  readonly ranges: readonly Ipv4Range[];
}

/** One value of the name asked for, or what belongs to it under another name. */
export interface Found {
  readonly type: number;
  readonly value: RecordValue;
}

/** What is known about a name: all of it, whatever type is asked for. */
export interface Known {
  readonly kind: "known";
  /** May be empty: the name exists, for example because others end in it. */
  readonly values: readonly Found[];
  /** Addresses of the targets of SRV records. */
  readonly additionals?: readonly (Found & { readonly name: DomainName })[];
}

export type Answer =
  | Known
  | { readonly kind: "alias"; readonly target: DomainName }
  | { readonly kind: "missing" };

/** Not ours: somebody else knows. */
export type Resolution =
  | { readonly kind: "outside" }
  /** The end of the chain lies outside: `target` has to be asked for there. */
  | { readonly kind: "alias"; readonly answers: readonly ResourceRecord[]; readonly target: DomainName }
  | {
      readonly kind: "answer";
      /** False: NXDOMAIN. */
      readonly exists: boolean;
      readonly answers: readonly ResourceRecord[];
      readonly authorities: readonly ResourceRecord[];
      readonly additionals: readonly ResourceRecord[];
    };

/** ExternalName Services may point at each other, in circles too. */
const MOST_ALIASES = 8;

/** Decides over one question of class IN. Pure but for what `view` reads. */
export function resolveClusterName(question: Question, zone: ClusterZone, view: ClusterView): Resolution {
  const aliases: ResourceRecord[] = [];
  let { name } = question;
  for (let hop = 0; hop <= MOST_ALIASES; hop++) {
    const answer = answerTo(name, zone, view);
    if (answer === undefined)
      return aliases.length === 0 ? { kind: "outside" } : { kind: "alias", answers: aliases, target: name };
    if (answer.kind !== "alias") return finish({ ...question, name }, answer, { zone, aliases });
    aliases.push(record(name, { type: TYPE.CNAME, value: { kind: "name", target: answer.target } }));
    if (question.type === TYPE.CNAME) break;
    name = answer.target;
  }
  return { kind: "answer", exists: true, answers: aliases, authorities: [], additionals: [] };
}

interface Chain {
  readonly zone: ClusterZone;
  readonly aliases: readonly ResourceRecord[];
}

function finish(
  question: Question,
  answer: Known | { readonly kind: "missing" },
  { zone, aliases }: Chain,
): Resolution {
  const values = answer.kind === "known" ? answer.values : [];
  // To "any" an answer of some of it is as good as all of it (RFC 8482, 4.1).
  const asked = values.filter(({ type }) => type === question.type || question.type === TYPE.ANY);
  const answers = [...aliases, ...asked.map((found) => record(question.name, found))];
  const hasServices = asked.some(({ type }) => type === TYPE.SRV);
  const related = answer.kind === "known" && hasServices ? (answer.additionals ?? []) : [];
  return {
    kind: "answer",
    exists: answer.kind === "known",
    answers,
    authorities: asked.length === 0 ? [authority(zone, question.name)] : [],
    additionals: related.map(({ name, ...found }) => record(name, found)),
  };
}

/** `undefined`: not a name of the cluster. */
function answerTo(name: DomainName, zone: ClusterZone, view: ClusterView): Answer | undefined {
  const reverse = labelsBelow(name, REVERSE_ZONE);
  if (reverse !== undefined) return reverseAnswer(reverse, zone, view);
  const labels = labelsBelow(name, zone.domain);
  if (labels === undefined) return undefined;
  if (labels.length === 0) return apex(zone);
  const [last] = labels.slice(-1);
  const before = labels.slice(0, -1);
  if (last === "svc") return serviceAnswer(before, zone.domain, view);
  if (last === "pod") return podAnswer(before, view);
  return serverAnswer(labels, zone);
}

function reverseAnswer(
  labels: DomainName,
  { domain, ranges }: ClusterZone,
  view: ClusterView,
): Answer | undefined {
  const ip = reversedIpv4(labels);
  if (ip === undefined) return undefined;
  const targets = pointersTo(ip, domain, view);
  if (targets.length > 0)
    return {
      kind: "known",
      values: targets.map((target) => ({ type: TYPE.PTR, value: { kind: "name", target } })),
    };
  return ranges.some((range) => holds(range, ip)) ? { kind: "missing" } : undefined;
}

function holds(range: Ipv4Range, ip: string): boolean {
  const address = parseIpv4(ip) ?? -1;
  return address >= range.base && address < range.base + rangeSize(range);
}

function apex({ domain }: ClusterZone): Answer {
  return {
    kind: "known",
    values: [
      { type: TYPE.SOA, value: authorityValue(domain) },
      { type: TYPE.NS, value: { kind: "name", target: ["ns", "dns", ...domain] } },
    ],
  };
}

/** Names about the DNS server itself. */
function serverAnswer(labels: DomainName, { serverIp }: ClusterZone): Answer {
  const text = labels.join(".");
  if (text === "dns-version")
    return { kind: "known", values: [{ type: TYPE.TXT, value: { kind: "texts", texts: [SCHEMA_VERSION] } }] };
  if (text === "ns.dns") {
    const bytes = Uint8Array.from(serverIp.split(".").map(Number));
    return { kind: "known", values: [{ type: TYPE.A, value: { kind: "address", bytes } }] };
  }
  return text === "dns" ? { kind: "known", values: [] } : { kind: "missing" };
}

function record(name: DomainName, { type, value }: Found): ResourceRecord {
  return { name, type, class: CLASS_IN, ttl: TTL_SECONDS, value };
}

/** Says for how long "there is none" holds; names of another zone are under it all the same, as CoreDNS has it. */
function authority(zone: ClusterZone, name: DomainName): ResourceRecord {
  const isReverse = labelsBelow(name, REVERSE_ZONE) !== undefined;
  const value = authorityValue(zone.domain);
  return record(isReverse ? REVERSE_ZONE : zone.domain, { type: TYPE.SOA, value });
}

function authorityValue(domain: DomainName): RecordValue {
  return {
    kind: "authority",
    server: ["ns", "dns", ...domain],
    mailbox: ["hostmaster", ...domain],
    // Nobody transfers this zone, so nobody compares serials.
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: TTL_SECONDS,
  };
}
