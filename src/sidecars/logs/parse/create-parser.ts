/** The parser that a configuration asks for. */
import type { Clock } from "../../../kernel/clock.ts";
import { accessLogParser } from "./access-log.ts";
import { apacheErrorParser } from "./apache-error.ts";
import type { ParseConfig } from "./config.ts";
import { TIME_NAMES } from "./fields.ts";
import type { TimeField } from "./fields.ts";
import { jsonParser } from "./json.ts";
import { logfmtParser } from "./logfmt.ts";
import { nginxErrorParser } from "./nginx-error.ts";
import type { Parser } from "./parser.ts";
import { regexParser } from "./regex.ts";
import { syslogParser } from "./syslog.ts";
import { timeReaderOf } from "./time-reader.ts";
import { zoneOf } from "./zone.ts";

/** One parser serves any number of files. `clock` decides the year of times that have none. */
export function createParser({ parse, timeZone }: ParseConfig, clock: Pick<Clock, "now">): Parser {
  const context = { zone: zoneOf(timeZone), clock };
  const timeField = (name: string | undefined, format: string): TimeField => ({
    names: name === undefined ? TIME_NAMES : [name],
    read: timeReaderOf(format, context),
  });
  switch (parse.format) {
    case "none":
      return (text) => ({ time: undefined, fields: { message: text }, problem: undefined });
    case "json":
      return jsonParser(timeField(parse.time, parse.timeFormat));
    case "logfmt":
      return logfmtParser(timeField(parse.time, parse.timeFormat));
    case "regex": {
      const { pattern, time, timeFormat, types } = parse;
      return regexParser({
        pattern,
        types: new Map(Object.entries(types)),
        timeField: timeField(time, timeFormat),
      });
    }
    case "common":
    case "combined":
      return accessLogParser(parse.format);
    case "nginx-error":
      return nginxErrorParser(context.zone);
    case "apache-error":
      return apacheErrorParser(context.zone);
    case "syslog":
      return syslogParser(context);
    default:
      return parse satisfies never;
  }
}
