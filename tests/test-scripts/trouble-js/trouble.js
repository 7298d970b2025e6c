// Does on its route what scripts do wrong, as an engine inside of a component does it: the answer to each is in tests/it/plugins/languages.rs.
import clock from "jackfield:plugin/clock@0.1.0";
import random from "jackfield:plugin/random@0.1.0";

const nothing = () => {};

export const meta = { getInfo: () => ({ id: "tests.trouble-js", version: "0.1.0" }) };

export const lifecycle = {
    activate: nothing,
    ready: nothing,
    deactivate: nothing,
    onSettingsChanged: nothing,
    onRequirementsChanged: nothing,
    onDataChanged: nothing,
};

export const eventHandler = { onEvent: () => ({ tag: "relay" }), onMessage: nothing };

const down = (depth) => 1 + down(depth + 1);

const deeds = {
    "/spin": () => { for (;;); },
    "/throw": () => { throw new TypeError("nobody catches this"); },
    "/recurse": () => down(0),
    "/hog": () => { const kept = []; for (;;) kept.push(new Uint8Array(1 << 20).fill(1)); },
    "/chance": () => ({ now: clock.now(), bytes: [...random.bytes(16)] }),
    "/too-much-chance": () => random.bytes(65_537),
};

export const httpHandler = {
    handle(request, _body, answer) {
        const told = JSON.stringify(deeds[request.path]());
        answer.write(Uint8Array.from(told, (letter) => letter.charCodeAt(0)));
    },
};
