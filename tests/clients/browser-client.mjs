// A page in Chromium behind the line protocol of tests/src/foreign.rs. The page is served from a loopback origin of its own, so that
// the browser sends an `Origin` as it does for any web client.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const html = readFileSync(new URL("page.html", import.meta.url));
const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(html));
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const profile = mkdtempSync(join(tmpdir(), "jackfield-browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.JACKFIELD_CHROMIUM,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const page = await context.newPage();
page.on("pageerror", (error) => say({ event: "failed", message: error.message }));
await page.exposeFunction("report", say);
await page.goto(`http://127.0.0.1:${server.address().port}/`);

async function quit() {
  await context.close().catch(() => {});
  server.close();
  rmSync(profile, { recursive: true, force: true });
  process.exit(0);
}

const lines = createInterface({ input: process.stdin });
let last = Promise.resolve();
lines.on("line", (line) => {
  const order = JSON.parse(line);
  last = last.then(() => (order.do === "quit" ? quit() : page.evaluate((order) => globalThis.perform(order), order)));
});
lines.on("close", quit);
