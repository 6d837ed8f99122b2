/** Who a container runs as: `runAsUser` and the image's user, looked up in the container's own /etc/passwd and /etc/group. */
import type { IdMap } from "./id-map.ts";
import { ContainerStartError, type ContainerSpec } from "./sandbox.ts";

export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  /** For setgroups(2); undefined where the kernel refuses to set any and none were asked for. */
  readonly groups: readonly number[] | undefined;
  /** Home folder, `/` for users that /etc/passwd does not know. */
  readonly home: string;
}

/** The two files as the image has them; empty when missing. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const MAX_ID = 4_294_967_294;

/**
 * As containerd: a number that /etc/passwd does not know gets group 0; groups that list the user come on top. Throws
 * `ContainerStartError` for names that are not there and ids that do not exist in this tier.
 */
export function resolveUser(wanted: ContainerSpec["user"], files: AccountFiles, ids: IdMap): ContainerUser {
  const [userText = "", groupText] = wanted.user.split(":", 2);
  const accounts = parsePasswd(files.passwd);
  const named = findAccount(userText, accounts);
  // The only id that there is: the account of the person who runs the cluster.
  const account = wanted.isOptional === true && !ids.isUid(named.uid) ? findAccount("0", accounts) : named;
  const groups = parseGroups(files.group);
  const primary = wanted.group ?? groupText;
  const gid = primary === undefined || primary === "" ? account.gid : findGroup(primary, groups);
  requireId(account.uid, { kind: "user", exists: ids.isUid(account.uid), wanted });
  requireId(gid, { kind: "group", exists: ids.isGid(gid), wanted });
  for (const id of wanted.supplementalGroups)
    requireId(id, { kind: "group", exists: ids.isGid(id) && (ids.canSetGroups || id === gid) });
  const isMerged = wanted.supplementalGroupsPolicy !== "Strict" && account.name !== "";
  const memberOf = groups.filter(({ members }) => isMerged && members.includes(account.name));
  const supplementary = [gid, ...memberOf.map((group) => group.gid), ...wanted.supplementalGroups];
  return {
    uid: account.uid,
    gid,
    groups: ids.canSetGroups ? [...new Set(supplementary.filter((id) => ids.isGid(id)))] : undefined,
    home: account.home,
  };
}

function findAccount(text: string, accounts: readonly Account[]): Account {
  const wanted = text === "" ? "0" : text;
  const id = parseId(wanted);
  // A user may be called "0"; names that are numbers are numbers, as in every runtime.
  const found = accounts.find((account) => (id === undefined ? account.name === wanted : account.uid === id));
  if (found !== undefined) return found;
  if (id !== undefined) return { name: "", uid: id, gid: 0, home: "/" };
  throw new ContainerStartError(
    "CreateContainerError",
    `unable to find user ${wanted}: no matching entries in passwd file`,
  );
}

function findGroup(text: string, groups: readonly Group[]): number {
  const id = parseId(text) ?? groups.find((group) => group.name === text)?.gid;
  if (id !== undefined) return id;
  throw new ContainerStartError(
    "CreateContainerError",
    `unable to find group ${text}: no matching entries in group file`,
  );
}

interface Required {
  readonly kind: "user" | "group";
  readonly exists: boolean;
  readonly wanted?: ContainerSpec["user"];
}

function requireId(id: number, { kind, exists, wanted }: Required): void {
  if (exists) return;
  const isImages = wanted?.ofImage?.includes(kind) === true;
  const field = kind === "user" ? "runAsUser" : "runAsGroup";
  const whose = isImages ? `, as the image wants (USER ${wanted.user})` : "";
  const instead = isImages
    ? `set securityContext.${field}: 0, which is your own account`
    : `remove the ${kind} from the pod's securityContext`;
  throw new ContainerStartError(
    "CreateContainerError",
    `cannot run as ${kind} ${id}${whose}: the cluster runs without root and has only the ids that your account owns, ` +
      `so ${kind} ${id} does not exist in its containers. Give your account a range in /etc/subuid and /etc/subgid and ` +
      `install newuidmap (package "uidmap"), run "pillion up" as root, or ${instead}`,
  );
}

function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function parsePasswd(text: string): readonly Account[] {
  return fieldsOf(text).flatMap(([name = "", , uidText = "", gidText = "", , home = ""]) => {
    const [uid, gid] = [parseId(uidText), parseId(gidText)];
    return uid === undefined || gid === undefined ? [] : [{ name, uid, gid, home: home === "" ? "/" : home }];
  });
}

function parseGroups(text: string): readonly Group[] {
  return fieldsOf(text).flatMap(([name = "", , gidText = "", members = ""]) => {
    const gid = parseId(gidText);
    return gid === undefined
      ? []
      : [{ name, gid, members: members.split(",").filter((member) => member !== "") }];
  });
}

function fieldsOf(text: string): readonly (readonly string[])[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
