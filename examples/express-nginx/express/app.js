// The application: it knows nothing of nginx, which stands in front of it in the same pod.
const express = require("express");

const app = express();
const port = 3000;

app.get("/", (request, response) => {
  response.send("Hello from Express!\n");
});

const server = app.listen(port, () => {
  console.log(`listening at http://localhost:${port}`);
});

// As process 1 of its container it has to say itself what SIGTERM means: finish what has begun, then end.
process.on("SIGTERM", () => server.close());
