// A program of a shop that runs on Node: everything it needs to know is in its environment.
import * as control from "@aws-sdk/client-personalize";
import { PersonalizeEventsClient, PutEventsCommand } from "@aws-sdk/client-personalize-events";
import { GetRecommendationsCommand, PersonalizeRuntimeClient } from "@aws-sdk/client-personalize-runtime";

const [datasetGroupArn, campaignArn, trackingId, userId, itemId] = process.argv.slice(2);
const personalize = new control.PersonalizeClient({});
const ask = (name, input) => personalize.send(new control[`${name}Command`](input));

const { datasetGroup } = await ask("DescribeDatasetGroup", { datasetGroupArn });
const { campaign } = await ask("DescribeCampaign", { campaignArn });
const { solutionVersion } = await ask("DescribeSolutionVersion", {
  solutionVersionArn: campaign.solutionVersionArn,
});
const { solution } = await ask("DescribeSolution", { solutionArn: solutionVersion.solutionArn });
const { recipe } = await ask("DescribeRecipe", { recipeArn: solution.recipeArn });
const { eventTrackers } = await ask("ListEventTrackers", { datasetGroupArn });
const { eventTracker } = await ask("DescribeEventTracker", eventTrackers[0]);
const described = [datasetGroup, campaign, solutionVersion, solution, recipe, eventTracker];

const kinds = [];
const pages = control.paginateListDatasets({ client: personalize, pageSize: 1 }, { datasetGroupArn });
for await (const page of pages) {
  for (const { datasetArn } of page.datasets) {
    const { dataset } = await ask("DescribeDataset", { datasetArn });
    const { schema } = await ask("DescribeSchema", { schemaArn: dataset.schemaArn });
    kinds.push(`${dataset.datasetType}: ${JSON.parse(schema.schema).fields.length} fields`);
    described.push(dataset);
    for (const job of (await ask("ListDatasetImportJobs", { datasetArn })).datasetImportJobs) {
      described.push((await ask("DescribeDatasetImportJob", job)).datasetImportJob);
    }
  }
}

let missing;
try {
  await ask("DescribeCampaign", { campaignArn: `${campaignArn}-missing` });
} catch (error) {
  missing = error instanceof control.ResourceNotFoundException;
}

await new PersonalizeEventsClient({}).send(
  new PutEventsCommand({
    trackingId,
    userId,
    sessionId: `session-${userId}`,
    eventList: [
      { eventType: "View", itemId, eventValue: 4.5, sentAt: new Date(1553631760123), properties: "{\"page\": \"home\"}" },
    ],
  }),
);
const { itemList, recommendationId } = await new PersonalizeRuntimeClient({}).send(
  new GetRecommendationsCommand({ campaignArn, userId, numResults: 5 }),
);

console.log(
  JSON.stringify({
    statuses: [...new Set(described.map((resource) => resource.status))],
    dates: described.every((resource) => resource.creationDateTime instanceof Date),
    kinds: kinds.sort(),
    missing,
    items: itemList.map((item) => item.itemId),
    scored: itemList.every((item) => typeof item.score === "number"),
    recommendationId,
  }),
);
