// Checks an AsyncAPI document with the parser of the AsyncAPI project: node check-asyncapi.mjs <file>
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const errors = diagnostics.filter(({ severity }) => severity === 0);
for (const { code, message, path } of errors) console.error(`${code}: ${message} at ${path.join("/")}`);
if (!document || errors.length > 0) process.exit(1);
console.log(`${document.info().title()} ${document.info().version()}: ${document.allMessages().length} messages`);
