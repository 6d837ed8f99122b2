/** The file behind the store: one SQLite database, one committed transaction per write. */
import { Database, type Statement } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { messageOf, Problem } from "../../kernel/problem.ts";
import type { GroupResource, KubeObject } from "../../k8s/object.ts";
import { isJsonObject } from "../../lib/frozen-json.ts";

/** "PiLn": tells our files from other SQLite databases. */
const APPLICATION_ID = 0x50694c6e;
/** Grows with every change of the tables; older files are brought up to it, newer ones refused. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, object TEXT NOT NULL,
    PRIMARY KEY (resource, namespace, name)
  ) WITHOUT ROWID;
  CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 0), version INTEGER NOT NULL);
`;

export interface Row {
  readonly resource: GroupResource;
  readonly namespace: string;
  readonly name: string;
}

/** What the store needs of a durable medium. */
export interface ObjectLog {
  /** Everything that was written and not removed, and the newest version ever written. */
  load(): { readonly version: number; readonly objects: readonly (readonly [Row, KubeObject])[] };
  /** Returns when it survives the end of the process; `object` undefined removes. Throws when it could not be written. */
  write(version: number, row: Row, object: KubeObject | undefined): void;
  close(): void;
}

/**
 * Opens or creates the file (mode 0600; it holds Secrets), `:memory:` for a store that is gone with the process.
 * `firstVersion` is the counter of a new file. Throws `Problem`: `E_STORE_UNREADABLE`, `E_STORE_IN_USE`, `E_STORE_NEWER`,
 * `E_STORE_CORRUPT`.
 */
export function openObjectLog(path: string, firstVersion: number): ObjectLog {
  let claim: Database | undefined;
  let database: Database | undefined;
  try {
    if (path !== ":memory:") claim = claimFile(`${path}.lock`);
    // SQLite gives its -wal file the mode of the database; left alone, both would follow the umask.
    if (path !== ":memory:") closeSync(openSync(path, "a", 0o600));
    database = new Database(path, { strict: true });
    prepare(database, path, firstVersion);
    return new SqliteLog(database, path, claim);
  } catch (error) {
    database?.close();
    claim?.close();
    throw error instanceof Problem ? error : problemOf(path, error);
  }
}

/** Who asks at the same moment as the one that gets it waits for its answer, milliseconds. */
const CLAIM_MS = 250;

/**
 * One engine at a time; the kernel takes the claim back when its process ends. The store's own file cannot say who was first:
 * two that find it new would each wait for the other, and both give up.
 */
function claimFile(path: string): Database {
  closeSync(openSync(path, "a", 0o600));
  const claim = new Database(path, { strict: true });
  try {
    claim.run(`PRAGMA busy_timeout = ${CLAIM_MS}`);
    claim.run("BEGIN EXCLUSIVE");
    return claim;
  } catch (error) {
    claim.close();
    throw error;
  }
}

function prepare(database: Database, path: string, firstVersion: number): void {
  // One engine owns the file; a second one fails at once instead of reading a state that it will not see change.
  database.run("PRAGMA locking_mode = EXCLUSIVE");
  database.run("PRAGMA journal_mode = WAL");
  // With NORMAL a commit is in the kernel's hands when it returns: safe against the end of the process, not of the machine.
  database.run("PRAGMA synchronous = NORMAL");
  database.run("BEGIN IMMEDIATE");
  const schema = pragma(database, "user_version");
  if (schema === 0 && isEmpty(database)) {
    database.run(SCHEMA);
    database.run("INSERT INTO counter (id, version) VALUES (0, ?)", [firstVersion]);
    database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
    database.run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  } else if (pragma(database, "application_id") !== APPLICATION_ID) {
    throw corrupt(path, "it is a database of another program");
  } else if (schema > SCHEMA_VERSION) {
    throw new Problem({
      code: "E_STORE_NEWER",
      message: `Cannot open the cluster state "${path}": it has format ${schema}, this version knows up to ${SCHEMA_VERSION}`,
      fix: "Use the version of Pillion that wrote it, or move the file away to start with an empty cluster",
    });
  }
  database.run("COMMIT");
  const damage = Object.values(
    database.query<Record<string, unknown>, []>("PRAGMA quick_check(1)").get() ?? {},
  )[0];
  if (damage !== "ok") throw corrupt(path, String(damage));
}

function pragma(database: Database, name: string): number {
  const row = database.query<Record<string, number>, []>(`PRAGMA ${name}`).get();
  return row?.[name] ?? 0;
}

function isEmpty(database: Database): boolean {
  return database.query("SELECT 1 FROM sqlite_master LIMIT 1").get() === null;
}

class SqliteLog implements ObjectLog {
  readonly #database: Database;
  readonly #path: string;
  readonly #claim: Database | undefined;
  readonly #write: (version: number, row: Row, object: KubeObject | undefined) => void;

  constructor(database: Database, path: string, claim: Database | undefined) {
    this.#database = database;
    this.#claim = claim;
    this.#path = path;
    const put: Statement = database.query(
      "INSERT INTO objects (resource, namespace, name, object) VALUES (?, ?, ?, ?)" +
        " ON CONFLICT DO UPDATE SET object = excluded.object",
    );
    const remove: Statement = database.query(
      "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
    );
    const count: Statement = database.query("UPDATE counter SET version = ? WHERE id = 0");
    this.#write = database.transaction((version: number, row: Row, object: KubeObject | undefined) => {
      const key = [row.resource, row.namespace, row.name] as const;
      if (object === undefined) remove.run(...key);
      else put.run(...key, JSON.stringify(object));
      count.run(version);
    }).immediate;
  }

  load(): ReturnType<ObjectLog["load"]> {
    try {
      const counter = this.#database.query<{ version: number }, []>("SELECT version FROM counter").get();
      if (counter === null) throw corrupt(this.#path, "it has no version counter");
      const rows = this.#database.query<Row & { object: string }, []>("SELECT * FROM objects").all();
      return { version: counter.version, objects: rows.map((row) => [row, this.#parse(row)]) };
    } catch (error) {
      throw error instanceof Problem ? error : problemOf(this.#path, error);
    }
  }

  write(version: number, row: Row, object: KubeObject | undefined): void {
    this.#write(version, row, object);
  }

  close(): void {
    this.#database.close();
    this.#claim?.close();
  }

  #parse({ resource, namespace, name, object }: Row & { object: string }): KubeObject {
    try {
      const parsed: unknown = JSON.parse(object);
      if (isKubeObject(parsed)) return parsed;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    const which = namespace === "" ? name : `${namespace}/${name}`;
    throw corrupt(this.#path, `the entry of ${resource} "${which}" is not an object`);
  }
}

function isKubeObject(value: unknown): value is KubeObject {
  return isJsonObject(value) && isJsonObject(value["metadata"]);
}

function problemOf(path: string, error: unknown): Problem {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new Problem({
      code: "E_STORE_IN_USE",
      message: `Cannot open the cluster state "${path}": another process has it open`,
      fix: "Stop the cluster that runs with this state folder, or give this one another name",
      cause: error,
    });
  }
  if (
    ["SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR", "SQLITE_MISMATCH"].some((known) =>
      code.startsWith(known),
    )
  ) {
    return corrupt(path, messageOf(error), error);
  }
  return new Problem({
    code: "E_STORE_UNREADABLE",
    message: `Cannot open the cluster state "${path}": ${messageOf(error)}`,
    fix: "Make the folder exist and be writable for this user, with space left on its disk",
    cause: error,
  });
}

function corrupt(path: string, what: string, cause?: unknown): Problem {
  return new Problem({
    code: "E_STORE_CORRUPT",
    message: `Cannot read the cluster state "${path}": ${what}`,
    fix: "Move the file and the ones beside it that start with its name away, and start again with an empty cluster",
    cause,
  });
}
