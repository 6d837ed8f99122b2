/** What the API needs of the node: the logs of a container (exec, attach and port-forward come with their subresources). */

/** Query of `GET …/pods/NAME/log` (`v1.PodLogOptions`). */
export interface LogOptions {
  readonly container: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  /** RFC 3339. */
  readonly sinceTime?: string;
  readonly limitBytes?: number;
}

export interface KubeletPort {
  /**
   * Text of a container's log, ready to send. With `follow` it ends when the container instance ends or `signal` aborts.
   * The reader's pace is the pace: nothing is buffered beyond one chunk. Throws `StatusError` (BadRequest, NotFound)
   * with the kubelet's messages, before the first chunk.
   */
  openLog(
    pod: { readonly namespace: string; readonly name: string },
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>;
}
