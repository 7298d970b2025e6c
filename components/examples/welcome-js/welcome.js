// Welcomes people, in JavaScript: a client sends the plugin event `greet`, everybody on the server hears `welcome` with a number that goes up
// for ever, and GET /api/plugins/route/welcome-js/ tells how many were welcomed and who came last.
import clock from "jackfield:plugin/clock@0.1.0";
import events from "jackfield:plugin/events@0.1.0";
import kv from "jackfield:plugin/kv@0.1.0";
import log from "jackfield:plugin/log@0.1.0";
import settings from "jackfield:plugin/settings@0.1.0";

// This engine has no TextEncoder.
const encode = (value) => Uint8Array.from(unescape(encodeURIComponent(JSON.stringify(value))), (letter) => letter.charCodeAt(0));
const decode = (bytes) => JSON.parse(decodeURIComponent(escape(String.fromCharCode(...bytes))));

// What a function throws is the error of its call when it looks like one; a fault of the language ends the instance, and is told first.
const failed = (code, message) => ({ code, message, details: null });
const told = (name, work) => (...given) => {
    try {
        return work(...given);
    } catch (error) {
        if (error instanceof Error) log.write("error", `${name}: ${error}`, JSON.stringify({ stack: error.stack }));
        throw error;
    }
};

export const meta = {
    getInfo: () => ({ id: "jackfield.welcome-js", version: "0.1.0" }),
};

export const lifecycle = {
    activate: told("activate", (context) => {
        log.write("info", "welcome is here", JSON.stringify({ language: "JavaScript", server: context.serverId }));
    }),
    ready() {},
    deactivate() {},
    onSettingsChanged() {},
    onRequirementsChanged() {},
    onDataChanged() {},
};

export const eventHandler = {
    onEvent: told("onEvent", (event) => {
        if (event.eventName !== "greet") return { tag: "relay" };
        const name = JSON.parse(event.payload).name.trim();
        if (name === "") return { tag: "reject", val: "a name has letters" };
        const number = kv.add("welcomed", 1);
        kv.set("latest", encode(name));
        const text = `${JSON.parse(settings.get("greeting"))}, ${name}!`;
        events.publish(event.serverId, "welcome", JSON.stringify({ text, number, at: clock.now() }), null, null);
        log.write("info", "welcomed somebody", JSON.stringify({ number }));
        return { tag: "consume" };
    }),
    onMessage() {},
};

export const httpHandler = {
    handle: told("handle", (request, _body, answer) => {
        if (request.method !== "GET") throw failed("unsupported", "only GET is answered here");
        const [welcomed, stored] = [kv.add("welcomed", 0), kv.get("latest")];
        const latest = stored === null ? null : decode(stored);
        answer.start(200, [["content-type", Array.from("application/json", (letter) => letter.charCodeAt(0))]]);
        answer.write(encode({ welcomed, latest }));
    }),
};
