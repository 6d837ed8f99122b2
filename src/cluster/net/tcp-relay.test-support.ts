/** A relay in a process of its own, which may be short of descriptors: `tcp-relay.test-support.ts PORT` leads there, says where, and ends with its input. */
import { startTcpRelay } from "./tcp-relay.ts";

const HERE = "127.0.0.1";

async function relay(port: number): Promise<void> {
  const started = startTcpRelay();
  const route = started.openRoute();
  route.update({ endpoints: [{ ip: HERE, port }] });
  const listener = route.listen({ ip: HERE, port: 0 });
  console.log(listener.port);
  for await (const _ of console) console.log(listener.connections);
  started.close();
}

if (import.meta.main) await relay(Number(process.argv[2]));
