import { describe, expect, test } from "bun:test";
import { ImageError } from "../images/image.ts";
import { World } from "./test-support/world.ts";

const spec = (image: string, imagePullPolicy = "IfNotPresent") => ({
  containers: [{ name: "app", image, imagePullPolicy }],
});

async function world(): Promise<World> {
  return new World().start();
}

describe("an image", () => {
  test("that is pulled tells how long it took and how big it is", async () => {
    await using w = await world();
    await w.run("p", spec("big"));
    expect(w.events()).toEqual([
      'Normal Pulling: Pulling image "big"',
      'Normal Pulled: Successfully pulled image "big" in 1.234s (1.234s including waiting). Image size: 1000 bytes.',
      "Normal Created: Container created",
      "Normal Started: Container started",
    ]);
  });

  test("that is mapped is not announced as pulled, also with Always", async () => {
    await using w = await world();
    w.images.mapped.add("img:latest");
    await w.run("p", spec("img:latest", "Always"));
    expect(w.images.requests[0]?.policy).toBe("Always");
    expect(w.events()[0]).toBe(
      'Normal Pulled: Container image "img:latest" is run from this machine, as the image map says',
    );
  });

  test("that cannot be pulled: ErrImagePull, then ImagePullBackOff, then again with growing delays [S4, R14, S2]", async () => {
    await using w = await world();
    w.images.failures.set(
      "bad",
      new ImageError("ErrImagePull", "no such host; run `pillion images map bad host`"),
    );
    await w.run("p", spec("bad"));
    expect(w.status("app").state).toEqual({
      waiting: { reason: "ErrImagePull", message: "no such host; run `pillion images map bad host`" },
    });
    expect(w.pod().status?.phase).toBe("Pending");
    await w.advance(1000);
    expect(w.status("app").state).toEqual({
      waiting: {
        reason: "ImagePullBackOff",
        message:
          'Back-off pulling image "bad": ErrImagePull: no such host; run `pillion images map bad host`',
      },
    });
    for (const delay of [10_000, 20_000, 40_000]) {
      const before = w.images.requests.length;
      await w.advance(delay - 1001);
      expect(w.images.requests.length).toBe(before);
      await w.advance(1001);
      expect(w.images.requests.length).toBe(before + 1);
    }
    expect(w.events()).toEqual([
      'Normal Pulling: Pulling image "bad" (x4)',
      'Warning Failed: Failed to pull image "bad": no such host; run `pillion images map bad host` (x4)',
      "Warning Failed: Error: ErrImagePull (x4)",
      'Normal BackOff: Back-off pulling image "bad" (x3)',
      "Warning Failed: Error: ImagePullBackOff (x3)",
    ]);
  });

  test("that is present but must be pulled backs off, too", async () => {
    await using w = await world();
    w.images.failures.set("img", new ImageError("ErrImagePull", "registry is down"));
    await w.run("p", spec("img", "Always"));
    await w.advance(1000);
    expect(w.state("app")).toBe("ImagePullBackOff");
    expect(w.images.requests).toHaveLength(1);
    w.images.failures.clear();
    w.kubelet?.imagesChanged();
    await w.settle();
    expect(w.state("app")).toBe("Running");
  });

  test("that comes while its container backs off is used at once", async () => {
    await using w = await world();
    w.images.failures.set("late", new ImageError("ErrImagePull", "no"));
    await w.run("p", spec("late"));
    await w.advance(2000);
    w.images.failures.clear();
    w.images.present.add("late");
    w.kubelet?.imagesChanged();
    await w.settle();
    expect(w.state("app")).toBe("Running");
  });

  test("that is absent with Never [S15, S2]", async () => {
    await using w = await world();
    w.images.failures.set("x", new ImageError("ErrImageNeverPull", "not here"));
    await w.run("p", spec("x", "Never"));
    expect(w.status("app").state).toEqual({
      waiting: {
        reason: "ErrImageNeverPull",
        message: 'Container image "x" is not present with pull policy of Never',
      },
    });
  });

  test("whose name is wrong; a corrected name is tried at once [S2]", async () => {
    await using w = await world();
    const why = 'couldn\'t parse image reference "A B": invalid reference format';
    w.images.failures.set("A B", new ImageError("InvalidImageName", why));
    await w.run("p", spec("A B"));
    expect(w.status("app").state?.waiting).toEqual({
      reason: "InvalidImageName",
      message: `Failed to apply default image tag "A B": ${why}`,
    });
    await w.setImage("img");
    expect(w.state("app")).toBe("Running");
  });

  test("of one container does not hold up the others [I10]", async () => {
    await using w = await world();
    w.images.failures.set("bad", new ImageError("ErrImagePull", "no"));
    await w.run("p", {
      containers: [
        { name: "app", image: "bad" },
        { name: "side", image: "img" },
      ],
    });
    expect([w.state("app"), w.state("side"), w.pod().status?.phase]).toEqual([
      "ErrImagePull",
      "Running",
      "Pending",
    ]);
  });

  test("while it is being pulled, the containers before it are shown as they are", async () => {
    await using w = await world();
    const { promise, resolve } = Promise.withResolvers<void>();
    w.images.gate = promise;
    await w.run("p", {
      containers: [
        { name: "app", image: "img" },
        { name: "side", image: "slow" },
      ],
    });
    expect([w.state("app"), w.state("side")]).toEqual(["Running", "ContainerCreating"]);
    resolve();
    await w.settle();
    expect([w.state("app"), w.state("side")]).toEqual(["Running", "Running"]);
  });
});

test("imagePullSecrets reach the pull, and nothing else", async () => {
  await using w = await world();
  const auth = Buffer.from("user:pa:ss").toString("base64");
  const config = JSON.stringify({
    auths: { "https://index.docker.io/v1/": { auth }, "localhost:5000": { username: "u", password: "p" } },
  });
  w.store.create("secrets", {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/dockerconfigjson",
    metadata: { namespace: "default", name: "regcred" },
    data: { ".dockerconfigjson": Buffer.from(config).toString("base64") },
  });
  await w.run("p", { ...spec("big"), imagePullSecrets: [{ name: "regcred" }, { name: "missing" }] });
  const credentials = w.images.requests[0]?.credentials;
  expect([credentials?.("docker.io"), credentials?.("localhost:5000"), credentials?.("quay.io")]).toEqual([
    { username: "user", password: "pa:ss" },
    { username: "u", password: "p" },
    undefined,
  ]);
  expect(w.events()).toContain(
    "Warning FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (missing); attempting to pull the image may not succeed.",
  );
  expect(JSON.stringify([w.events(), w.pod()])).not.toContain("pa:ss");
});
