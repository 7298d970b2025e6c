// npm `ws` behind the line protocol of tests/src/foreign.rs.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
let socket;

const orders = {
  open({ url }) {
    socket = new WebSocket(url, { maxPayload: 4 << 20 });
    socket.on("open", () => say({ event: "open" }));
    socket.on("message", (data, isBinary) => {
      if (isBinary) say({ event: "failed", message: "a binary frame came" });
      else say({ event: "frame", text: data.toString("utf8") });
    });
    socket.on("close", (code, reason) => say({ event: "closed", code, reason: reason.toString("utf8") }));
    socket.on("error", (error) => process.stderr.write(`ws: ${error.message}\n`));
  },
  send: ({ text }) => socket.send(text),
  sendBinary: ({ base64 }) => socket.send(Buffer.from(base64, "base64")),
  close: () => socket.close(1000),
  quit: () => process.exit(0),
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const order = JSON.parse(line);
  orders[order.do](order);
});
lines.on("close", () => process.exit(0));
