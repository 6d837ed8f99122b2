/** How bad a record is, out of the many ways in which applications say so. */
import type { LogRecord } from "../record.ts";

/** Severities of RFC 5424 section 6.2.1; 0 is the worst. */
export type SyslogSeverity = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

export interface Severity {
  readonly syslog: SyslogSeverity;
  /** SeverityNumber of the OpenTelemetry logs data model. */
  readonly otlp: number;
}

/** Fields that loggers put the level into, the commonest first. */
const LEVEL_FIELDS = ["level", "severity", "lvl", "loglevel", "log.level"];

const TRACE: Severity = { syslog: 7, otlp: 1 };
const DEBUG: Severity = { syslog: 7, otlp: 5 };
const INFO: Severity = { syslog: 6, otlp: 9 };
const NOTICE: Severity = { syslog: 5, otlp: 10 };
const WARNING: Severity = { syslog: 4, otlp: 13 };
const ERROR: Severity = { syslog: 3, otlp: 17 };
const CRITICAL: Severity = { syslog: 2, otlp: 21 };
const ALERT: Severity = { syslog: 1, otlp: 22 };
const EMERGENCY: Severity = { syslog: 0, otlp: 23 };

/** Names of log4j, slf4j, zap, zerolog, logrus, Python, nginx, Apache and syslog. */
const NAMES: ReadonlyMap<string, Severity> = new Map([
  ["trace", TRACE],
  ["finest", TRACE],
  ["debug", DEBUG],
  ["fine", DEBUG],
  ["verbose", DEBUG],
  ["info", INFO],
  ["information", INFO],
  ["informational", INFO],
  ["notice", NOTICE],
  ["warn", WARNING],
  ["warning", WARNING],
  ["err", ERROR],
  ["error", ERROR],
  ["severe", ERROR],
  ["crit", CRITICAL],
  ["critical", CRITICAL],
  ["fatal", CRITICAL],
  ["dpanic", CRITICAL],
  ["alert", ALERT],
  ["emerg", EMERGENCY],
  ["emergency", EMERGENCY],
  ["panic", EMERGENCY],
]);

/** The tens of pino and bunyan. */
const NUMBERS: ReadonlyMap<number, Severity> = new Map([
  [10, TRACE],
  [20, DEBUG],
  [30, INFO],
  [40, WARNING],
  [50, ERROR],
  [60, CRITICAL],
]);

export interface Level {
  /** As the application wrote it. */
  readonly text: string;
  readonly severity: Severity;
}

/** Undefined where the record names no level that is known. */
export function levelOf({ fields }: LogRecord): Level | undefined {
  for (const name of LEVEL_FIELDS) {
    const value = fields[name];
    if (typeof value !== "string" && typeof value !== "number") continue;
    const severity = typeof value === "string" ? NAMES.get(value.toLowerCase()) : NUMBERS.get(value);
    if (severity !== undefined) return { text: String(value), severity };
  }
  return undefined;
}
