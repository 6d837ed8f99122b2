/** From a query's bytes to its answer's: what the cluster knows it answers itself, the rest its resolvers do. */
import type { UpstreamAnswer, UpstreamQuery } from "./ask-server.ts";
import { DnsFormatError, decodeHeader, decodeMessage } from "./decode-message.ts";
import {
  CLASS_IN,
  type DnsHeader,
  type DnsMessage,
  type Edns,
  type Question,
  RCODE,
  TYPE,
} from "./dns-message.ts";
import type { Forward } from "./forward.ts";
import { encodeMessage, MOST_TCP_BYTES, MOST_UDP_BYTES, PLAIN_UDP_BYTES } from "./encode-message.ts";
import type { Resolution } from "./resolve-cluster-name.ts";

export interface AnswerParts {
  readonly resolve: (question: Question) => Resolution;
  readonly forward: Forward;
  /** What is not decided by how the answers are ordered: clients take the first. At least 0, less than 1. */
  readonly random: () => number;
}

/** `undefined`: it was no query; who answers answers may do so for ever. */
export type AnswerQuery = (query: Uint8Array, transport: "udp" | "tcp") => Promise<Uint8Array | undefined>;

type Content = Pick<DnsMessage, "rcode" | "answers" | "authorities" | "additionals"> & {
  readonly authoritative: boolean;
};

/** Never rejects. */
export function createAnswerer(parts: AnswerParts): AnswerQuery {
  return async (bytes, transport) => {
    const header = decodeHeader(bytes);
    if (header === undefined || header.isResponse) return undefined;
    let query: DnsMessage;
    try {
      query = decodeMessage(bytes);
    } catch (error) {
      if (!(error instanceof DnsFormatError)) throw error;
      // Of an unknown opcode not even the shape is known (RFC 1035, 4.1.1).
      const rcode = header.opcode === 0 ? RCODE.FORMERR : RCODE.NOTIMP;
      return encodeMessage(reply({ ...header, question: undefined, edns: undefined }, failure(rcode)));
    }
    const mostBytes = transport === "tcp" ? MOST_TCP_BYTES : udpBytesFor(query.edns);
    const refusal = refusalOf(query);
    if (refusal !== undefined) return encodeMessage(reply(query, failure(refusal)), mostBytes);
    return answer(query, { parts, mostBytes });
  };
}

function udpBytesFor(edns: Edns | undefined): number {
  if (edns === undefined) return PLAIN_UDP_BYTES;
  return Math.min(Math.max(edns.udpSize, PLAIN_UDP_BYTES), MOST_UDP_BYTES);
}

function refusalOf({ opcode, answers, authorities, edns, question }: DnsMessage): number | undefined {
  if (opcode !== 0) return RCODE.NOTIMP;
  if (answers.length > 0 || authorities.length > 0) return RCODE.FORMERR;
  if (edns !== undefined && edns.version > 0) return RCODE.BADVERS;
  if (question?.class !== CLASS_IN) return RCODE.REFUSED;
  const isTransfer = question.type === TYPE.AXFR || question.type === TYPE.IXFR || question.type === TYPE.OPT;
  return isTransfer ? RCODE.REFUSED : undefined;
}

interface Answering {
  readonly parts: AnswerParts;
  readonly mostBytes: number;
}

async function answer(query: DnsMessage, { parts, mostBytes }: Answering): Promise<Uint8Array> {
  const { question } = query;
  if (question === undefined) return encodeMessage(reply(query, failure(RCODE.FORMERR)));
  const resolution = parts.resolve(question);
  if (resolution.kind === "outside") return forwarded(query, { parts, mostBytes });
  if (resolution.kind === "alias") {
    const found = await parts.forward(upstreamQuery(query, { ...question, name: resolution.target }));
    return encodeMessage(reply(query, behindAlias(resolution.answers, found)), mostBytes);
  }
  const { exists, answers, authorities, additionals } = resolution;
  const rcode = exists ? RCODE.NOERROR : RCODE.NXDOMAIN;
  // An alias stays before what it leads to.
  const aliases = answers.filter(({ type }) => type === TYPE.CNAME);
  const values = rotated(answers.slice(aliases.length), parts.random());
  const content = { rcode, authoritative: true, answers: [...aliases, ...values], authorities, additionals };
  return encodeMessage(reply(query, content), mostBytes);
}

async function forwarded(query: DnsMessage, { parts, mostBytes }: Answering): Promise<Uint8Array> {
  const found =
    query.question === undefined ? undefined : await parts.forward(upstreamQuery(query, query.question));
  if (found === undefined) return encodeMessage(reply(query, failure(RCODE.SERVFAIL)), mostBytes);
  if (found.bytes.length > mostBytes) {
    const truncated = { ...reply(query, failure(found.message.rcode)), truncated: true };
    return encodeMessage(truncated, mostBytes);
  }
  // As it came, with records of types that nobody here has heard of.
  const bytes = Uint8Array.from(found.bytes);
  new DataView(bytes.buffer).setUint16(0, query.id);
  return bytes;
}

/** The client's own wishes go along; the size is one that we take. */
function upstreamQuery({ edns, checkingDisabled }: DnsMessage, question: Question): UpstreamQuery {
  return {
    question,
    checkingDisabled,
    edns: edns === undefined ? undefined : { ...edns, udpSize: udpBytesFor(edns) },
  };
}

/** What the rest of the world says about the target of an ExternalName, under the alias that led there. */
function behindAlias(aliases: DnsMessage["answers"], found: UpstreamAnswer | undefined): Content {
  if (found === undefined) return { ...failure(RCODE.SERVFAIL), answers: aliases };
  const { rcode, answers } = found.message;
  // Values of unknown types may hold pointers into a message that is not this one.
  const understood = answers.filter(({ value }) => value.kind !== "bytes");
  return { ...failure(rcode & 0xf), answers: [...aliases, ...understood] };
}

function failure(rcode: number): Content {
  return { rcode, authoritative: false, answers: [], authorities: [], additionals: [] };
}

type Asked = Pick<DnsHeader, "id" | "opcode" | "recursionDesired" | "checkingDisabled"> &
  Pick<DnsMessage, "question" | "edns">;

function reply(
  { id, opcode, recursionDesired, checkingDisabled, question, edns }: Asked,
  content: Content,
): DnsMessage {
  return {
    id,
    opcode,
    recursionDesired,
    checkingDisabled,
    question,
    isResponse: true,
    truncated: false,
    recursionAvailable: true,
    authenticData: false,
    edns: edns === undefined ? undefined : { udpSize: MOST_UDP_BYTES, version: 0, dnssecOk: edns.dnssecOk },
    ...content,
  };
}

function rotated<Item>(items: readonly Item[], random: number): readonly Item[] {
  const start = Math.floor(random * items.length);
  return [...items.slice(start), ...items.slice(0, start)];
}
