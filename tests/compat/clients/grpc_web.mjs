// A page's client of gRPC-Web, from npm and unchanged: reads the contract as a set of descriptors, calls, streams, fails.
// Arguments: the folder of node_modules, the file of descriptors, the server's URL, a token, a user id.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, descriptors, baseUrl, token, userId] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { createClient } = await load("@connectrpc/connect");
const { createGrpcWebTransport } = await load("@connectrpc/connect-web");
const { createFileRegistry, fromBinary } = await load("@bufbuild/protobuf");
const { FileDescriptorSetSchema } = await load("@bufbuild/protobuf/wkt");

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const client = createClient(registry.getService("clarifai.api.V2"), createGrpcWebTransport({ baseUrl }));
const options = { headers: { authorization: `Key ${token}` } };
const request = (text) => ({
  userAppId: { userId, appId: "main" }, modelId: "echo", inputs: [{ data: { text: { raw: text } } }],
});

const told = {};
const answer = await client.postModelOutputs(request("from a page"), options);
told.predict = answer.outputs[0].data.text.raw;
told.generate = [];
for await (const one of client.generateModelOutputs(request("one two three"), options)) {
  told.generate.push(one.outputs[0].data.text.raw);
}
told.refused = (await client.postModelOutputs(request("x"), { headers: { authorization: "Key no" } })).status.code;
try {
  await client.listWorkflows({ userAppId: { userId, appId: "main" } }, options);
} catch (error) {
  told.unimplemented = [error.code, error.rawMessage];
}
try {
  await client.postModelOutputs(request("sleep 5"), { ...options, timeoutMs: 300 });
} catch (error) {
  told.late = error.code;
}
console.log(JSON.stringify(told));
