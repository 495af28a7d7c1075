// Scenarios through the official OpenAI package for Node; prints JSON lines.
//
//     node node_driver.mjs SDK_FOLDER BASE_URL API_KEY '[["create_text", {"seconds": "8"}], …]'
//
// The lines and the scenarios are those of python_driver.py; what only one of the packages has, only its driver has.

import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const [sdkFolder, baseURL, apiKey, steps] = process.argv.slice(2);
const sdk = (module) => import(pathToFileURL(`${sdkFolder}/node_modules/openai/${module}`).href);
const { default: OpenAI, AzureOpenAI, toFile } = await sdk("index.mjs");
const { VERSION } = await sdk("version.mjs");

function say(call, what) {
  process.stdout.write(`${JSON.stringify({ call, ...what })}\n`);
}

function said(call, found, key = "video") {
  say(call, { [key]: found, request_id: found._request_id ?? null });
}

function sayContent(call, answer, content) {
  const sha256 = createHash("sha256").update(content).digest("hex");
  const start = content.subarray(0, 12).toString("hex");
  say(call, { mime: answer.headers.get("content-type"), size_bytes: content.length, sha256, start });
}

const nobody = `video_${"0".repeat(32)}`;

/** The scenarios of one client, with what the test gives. */
function scenariosOf(client, args) {
  const prompt = args.prompt ?? "A lighthouse at dusk";

  /** What a create is called with: what the test gives, and what the scenario adds. */
  function asked(more = {}) {
    const body = { prompt };
    for (const each of ["model", "seconds", "size"]) if (each in args) body[each] = args[each];
    return { ...body, ...(args.extra_body ?? {}), ...more };
  }

  const options = args.extra_headers ? { headers: args.extra_headers } : {};
  const file = (mime) => toFile(readFileSync(args.file), basename(args.file), { type: args.mime ?? mime });
  const create = async (more) => said("create", await client.videos.create(asked(more), options));
  const words = { prompt, ...(args.extra_body ?? {}) };
  const length = { seconds: args.seconds ?? "4" };
  const query = () => Object.fromEntries(["limit", "order", "after"].filter((n) => n in args).map((n) => [n, args[n]]));

  async function download(variant) {
    const answer = await client.videos.downloadContent(args.video_id, variant ? { variant } : {});
    sayContent("download", answer, Buffer.from(await answer.arrayBuffer()));
  }

  return {
    create_text: () => create(),
    create_number: () => create({ seconds: Number(args.seconds ?? 8) }),
    create_file: async () => create({ input_reference: await file("image/png") }),
    create_stream: () => create({ input_reference: createReadStream(args.file) }),
    create_object: () => create({ input_reference: { image_url: args.image_url } }),
    create_file_id: () => create({ input_reference: { file_id: args.file_id ?? "file-1" } }),
    create_extra: () =>
      create({
        characters: [{ id: "char_1" }, { id: "char_2" }],
        seed: 7,
        generate_audio: true,
        guidance: 7.5,
        nothing: undefined,
        ...(args.extra_body ?? {}),
      }),
    remix: async () => said("remix", await client.videos.remix(args.video_id, { prompt })),
    edit_file: async () => said("edit", await client.videos.edit({ ...words, video: await file("video/mp4") })),
    edit_stream: async () => said("edit", await client.videos.edit({ ...words, video: createReadStream(args.file) })),
    edit_id: async () => said("edit", await client.videos.edit({ ...words, video: { id: args.video_id } })),
    extend_file: async () => said("extend", await client.videos.extend({ ...words, ...length, video: await file("video/mp4") })),
    extend_id: async () => said("extend", await client.videos.extend({ ...words, ...length, video: { id: args.video_id } })),
    create_character: async () => {
      const body = { name: args.name ?? "Mira", video: await file("video/mp4") };
      said("create_character", await client.videos.createCharacter(body), "character");
    },
    get_character: async () =>
      said("get_character", await client.videos.getCharacter(args.character_id), "character"),
    retrieve: async () => said("retrieve", await client.videos.retrieve(args.video_id)),
    retrieve_raw: async () => {
      const response = await client.videos.retrieve(args.video_id).asResponse();
      const headers = Object.fromEntries(response.headers);
      say("retrieve_raw", { status: response.status, headers, body: await response.json() });
    },
    list_all: async () => {
      let page = await client.videos.list(query());
      while (true) {
        say("list", { ids: page.data.map((each) => each.id), has_more: page.has_more, last_id: page.last_id });
        if (!page.hasNextPage()) break;
        page = await page.getNextPage();
      }
    },
    list_iterate: async () => {
      const ids = [];
      for await (const each of client.videos.list(query())) ids.push(each.id);
      say("list_iterate", { ids });
    },
    delete: async () => said("delete", await client.videos.delete(args.video_id), "deleted"),
    download: () => download(args.variant),
    download_streaming: async () => {
      const answer = await client.videos.downloadContent(args.video_id);
      const chunks = [];
      for await (const chunk of answer.body) chunks.push(chunk);
      sayContent("download_streaming", answer, Buffer.concat(chunks));
    },
    thumbnail: () => download("thumbnail"),
    spritesheet: () => download("spritesheet"),
    missing: async () => said("retrieve", await client.videos.retrieve(args.video_id ?? nobody)),
    wrong_key: () => client.withOptions({ apiKey: "sk-wrong" }).videos.retrieve(args.video_id ?? nobody),
    bad_seconds: () => create({ seconds: "7x" }),
    unwrap: async () => {
      const event = await client.webhooks.unwrap(args.payload, args.headers, args.secret);
      say("unwrap", { type: event.type, id: event.id, data_id: event.data.id });
    },
  };
}

function saidError(error) {
  return {
    class: error.constructor.name,
    message: error.message,
    status_code: error.status ?? null,
    code: error.code ?? null,
    param: error.param ?? null,
    type: error.type ?? null,
    request_id: error.requestID ?? null,
  };
}

function clientFor(args) {
  const settings = { apiKey, maxRetries: args.max_retries ?? 0, timeout: 1000 * (args.timeout_s ?? 30) };
  if (!args.azure) return new OpenAI({ baseURL, ...settings });
  // A resource's address has no path; the package adds /openai and the version.
  return new AzureOpenAI({ endpoint: baseURL, apiVersion: args.api_version ?? "2025-04-01-preview", ...settings });
}

say("version", { version: VERSION });
for (const [name, args] of JSON.parse(steps)) {
  try {
    await scenariosOf(clientFor(args), args)[name]();
  } catch (error) {
    say(name, { error: saidError(error) });
  }
}
