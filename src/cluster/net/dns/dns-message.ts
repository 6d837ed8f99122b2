/** What a DNS message says (RFC 1035), whatever its bytes look like. */
import type { DomainName } from "./domain-name.ts";

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  /** Has more bits than the header: needs EDNS. */
  BADVERS: 16,
} as const;

export interface Question {
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
}

/** Those parts of a record's value that the cluster makes or has to understand; all else is bytes. */
export type RecordValue =
  | { readonly kind: "address"; readonly bytes: Uint8Array }
  /** CNAME, NS, PTR. */
  | { readonly kind: "name"; readonly target: DomainName }
  | {
      readonly kind: "service";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: DomainName;
    }
  /** Each at most 255 bytes, one character a byte. */
  | { readonly kind: "texts"; readonly texts: readonly string[] }
  | {
      readonly kind: "authority";
      readonly server: DomainName;
      readonly mailbox: DomainName;
      readonly serial: number;
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      /** Seconds that "there is none" may be kept (RFC 2308). */
      readonly minimum: number;
    }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

export interface ResourceRecord {
  readonly name: DomainName;
  readonly type: number;
  readonly class: number;
  /** Seconds. */
  readonly ttl: number;
  readonly value: RecordValue;
}

/** EDNS(0), RFC 6891. */
export interface Edns {
  /** Largest UDP message its sender takes. */
  readonly udpSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

export interface DnsHeader {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the bits that EDNS adds. */
  readonly rcode: number;
}

export interface DnsMessage extends DnsHeader {
  /** Absent in answers to what could not be read. */
  readonly question: Question | undefined;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without the record that EDNS is. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns: Edns | undefined;
}

/** A question as this program asks it. */
export function queryFor(
  question: Question,
  { id, edns, checkingDisabled = false }: Pick<DnsMessage, "id" | "edns"> & Partial<DnsHeader>,
): DnsMessage {
  return {
    id,
    isResponse: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled,
    rcode: RCODE.NOERROR,
    question,
    answers: [],
    authorities: [],
    additionals: [],
    edns,
  };
}
