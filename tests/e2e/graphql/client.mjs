// A program of a shop that used AWS AppSync: its two usual clients, with another URL and key.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
// What `generateClient` of aws-amplify/api is made of; the whole package has 88 MB.
const { Amplify } = require("@aws-amplify/core");
const { generateClient } = require("@aws-amplify/api-graphql/internals");
const { AWSAppSyncClient, AUTH_TYPE } = require("aws-appsync");
const gql = require("graphql-tag").default ?? require("graphql-tag");

const [url, apiKey, userId] = process.argv.slice(2);
const region = "eu-central-1";
const queryText = `query Recommendations($userId: String!, $limit: Int) {
  getRecommendations(userId: $userId, limit: $limit) {
    items { userId itemId score category timestamp }
    nextToken
  }
}`;
const putText = `mutation Put($input: PutRecommendationInput!) {
  putRecommendation(input: $input) { userId itemId score category timestamp }
}`;
const input = { userId, itemId: "put by appsync", score: 1000, category: "shoes" };
const result = {};

const appsync = new AWSAppSyncClient({
  url,
  region,
  disableOffline: true,
  auth: { type: AUTH_TYPE.API_KEY, apiKey },
});
const put = await appsync.mutate({ mutation: gql(putText), variables: { input } });
result.put = put.data.putRecommendation;
const page = await appsync.query({
  query: gql(queryText),
  variables: { userId, limit: 5 },
  fetchPolicy: "network-only",
});
result.appsync = page.data.getRecommendations;

try {
  await appsync.query({ query: gql(queryText), variables: { userId, limit: 0 }, fetchPolicy: "network-only" });
} catch (error) {
  result.fieldError = error.graphQLErrors[0];
}
const stranger = new AWSAppSyncClient({
  url,
  region,
  disableOffline: true,
  auth: { type: AUTH_TYPE.API_KEY, apiKey: "ek_read_unknown" },
});
try {
  await stranger.query({ query: gql(queryText), variables: { userId }, fetchPolicy: "network-only" });
} catch (error) {
  result.unauthorized = { status: error.networkError.statusCode, body: error.networkError.result };
}

Amplify.configure({
  API: { GraphQL: { endpoint: url, region, defaultAuthMode: "apiKey", apiKey } },
});
const amplify = generateClient({ amplify: Amplify });
result.amplify = (await amplify.graphql({ query: queryText, variables: { userId, limit: 5 } })).data.getRecommendations;
try {
  await amplify.graphql({ query: "query { getRecommendations(userId: \"u\") { missing } }" });
} catch (error) {
  result.invalid = error.errors[0];
}

console.log(JSON.stringify(result));
process.exit(0);
