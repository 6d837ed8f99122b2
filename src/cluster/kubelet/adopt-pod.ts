/** Goes on with the containers of a pod that outlived its engine: what the status and the notes of their start tell of them. */
import type { ContainerInstance } from "../../k8s/container-status.ts";
import type { AdoptedContainer, AdoptedPod, ContainerSpec } from "../sandbox/sandbox.ts";
import type { KubeletContext } from "./kubelet-context.ts";
import type { PodState } from "./pod-state.ts";
import { UNKNOWN_END } from "./adopt-status.ts";
import { noticeDeath } from "./prepare-sandbox.ts";
import { SIGKILL } from "./stop-signal.ts";
import { watchContainer } from "./watch-container.ts";

/** What the kubelet keeps with a container, because its status is written only after the start. */
export interface StartNotes {
  readonly restartCount: number;
  readonly image: string;
  readonly imageID: string;
  readonly terminationLog: string;
  readonly stopSignal: number;
}

/** Of the CRI's annotations as the kubelet names them, with a prefix of its own. */
const ANNOTATION = "pillion.dev/start";

export function withStartNotes(spec: ContainerSpec, notes: StartNotes): ContainerSpec {
  return { ...spec, annotations: { ...spec.annotations, [ANNOTATION]: JSON.stringify(notes) } };
}

function startNotes({ annotations }: ContainerSpec): StartNotes | undefined {
  const text = annotations?.[ANNOTATION];
  return text === undefined ? undefined : (JSON.parse(text) as StartNotes);
}

interface AdoptingPod {
  readonly context: KubeletContext;
  readonly state: PodState;
  /** Asks for another pass. */
  readonly wake: () => void;
}

/** To be called after `adoptStatus`, which takes containers that run for lost. */
export function adoptPod(pod: AdoptingPod, adopted: AdoptedPod): void {
  const { state, wake } = pod;
  state.sandbox = adopted.sandbox;
  state.sandboxAttempts = 1;
  state.hostname = adopted.spec.hostname;
  for (const path of adopted.tmpfs) state.memoryFolders.add(path);
  void noticeDeath(adopted.sandbox, state, wake);
  // Of two instances of one container the newer one counts.
  const byAge = adopted.containers.toSorted((a, b) => a.running.startedAt - b.running.startedAt);
  for (const container of byAge) adoptContainer(pod, container);
  for (const record of state.containers.values())
    if (record.current !== undefined) record.startedIn = state.sandboxAttempts;
}

function adoptContainer({ context, state, wake }: AdoptingPod, { spec, running }: AdoptedContainer): void {
  const container = state.container(spec.name);
  const notes = startNotes(spec);
  if (container === undefined || notes === undefined) {
    // Nobody asks for it any more.
    running.kill(SIGKILL);
    return;
  }
  const record = state.record(spec.name);
  const { current } = record;
  const isKnown = current?.id === spec.id;
  // Its end had been written already.
  if (isKnown && current.end?.reason !== UNKNOWN_END) return;
  if (!isKnown && current !== undefined) record.previous = current;
  record.running?.kill(SIGKILL);
  const instance: ContainerInstance = {
    name: spec.name,
    id: spec.id,
    restartCount: notes.restartCount,
    image: notes.image,
    imageID: notes.imageID,
    ...(running.user === undefined ? {} : { user: running.user }),
    startedAt: running.startedAt,
  };
  record.current = instance;
  record.running = running;
  record.terminationLog = notes.terminationLog;
  record.stopSignal = notes.stopSignal;
  if (spec.rootfs.kind === "image") record.rootfs = spec.rootfs.path;
  record.ended = watchContainer({ context, state, container }, { running, logPath: spec.logPath }).finally(
    wake,
  );
}
