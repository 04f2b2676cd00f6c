#!/usr/bin/env bash
# A shop's whole Amazon Personalize playbook with the `aws` command: from three CSV files to recommendations.
#
#   eval "$(make -s env)" && examples/aws-cli-playbook.sh
#
# It knows where to go from the environment alone: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_PERSONALIZE,
# AWS_ENDPOINT_URL_PERSONALIZE_EVENTS, AWS_ENDPOINT_URL_PERSONALIZE_RUNTIME and a key pair. It makes its data
# (100,000 interactions, the same every time), waits until each thing is ACTIVE, says what it does, and ends
# with status 1 at the first thing that fails. What it makes is called PLAYBOOK_NAME, or playbook-<seconds>.
set -euo pipefail

readonly NAME=${PLAYBOOK_NAME:-playbook-$(date +%s)}
readonly BUCKET=$NAME
readonly INTERACTIONS=${PLAYBOOK_INTERACTIONS:-100000}
readonly POLL_SECONDS=${PLAYBOOK_POLL_SECONDS:-1}
readonly PATIENCE_SECONDS=${PLAYBOOK_PATIENCE_SECONDS:-900}
# Any role will do: who may read which bucket is the account's business.
readonly ROLE=arn:aws:iam::000000000000:role/PersonalizeRole
readonly RECIPE=arn:aws:personalize:::recipe/aws-user-personalization

export AWS_PAGER=''
folder=$(mktemp -d)
readonly folder
trap 'rm -rf "$folder"' EXIT
trap 'printf "%s: line %s failed: %s\n" "$0" "$LINENO" "$BASH_COMMAND" >&2' ERR

step() { printf '\n== %4d s  %s\n' "$SECONDS" "$*"; }

# The value of one member of an answer: get <member> <service> <operation> <arguments…>
get() { aws "${@:2}" --query "$1" --output text; }

# Ask until a thing is ACTIVE: until_active <member of the answer> <operation> <arguments…>
until_active() {
  local member=$1 status deadline=$((SECONDS + PATIENCE_SECONDS))
  shift
  while status=$(get "$member.status" personalize "$@") && [[ $status != ACTIVE ]]; do
    if [[ $status == *FAILED ]]; then
      printf '%s: %s: %s\n' "$*" "$status" "$(get "$member.failureReason" personalize "$@")" >&2
      return 1
    elif ((SECONDS > deadline)); then
      printf '%s: still %s after %s seconds\n' "$*" "$status" "$PATIENCE_SECONDS" >&2
      return 1
    fi
    sleep "$POLL_SECONDS"
  done
  printf '   %s is %s\n' "${*: -1}" "$status"
}

make_files() {
  # Customers keep mostly to the shelf they like, and to what everybody buys. The generator is Lehmer's.
  awk -v rows="$INTERACTIONS" -v users=2000 -v items=500 -v shelves=10 -v folder="$folder" '
    function chance() { seed = (seed * 16807) % 2147483647; return seed / 2147483647 }
    BEGIN {
      seed = 20250101
      print "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE" > folder "/interactions.csv"
      for (row = 0; row < rows; row++) {
        user = row % users
        shelf = chance() < 0.8 ? user % shelves : int(chance() * shelves)
        item = shelf + shelves * int(chance() * chance() * items / shelves)
        kind = chance(); kind = kind < 0.7 ? "view" : kind < 0.9 ? "add_to_cart" : "purchase"
        at = 1735689600 + int(row / users) * 86400 + int(chance() * 86400)
        printf "user-%d,item-%d,%d,%s,%.2f\n", user, item, at, kind, 1 + chance() * 99 \
          > folder "/interactions.csv"
        if (kind == "purchase") { sold[item]++; orders[user]++; spent[user] += 1 + item % 90 }
      }
      print "ITEM_ID,ITEM_NAME,CATEGORY,PRICE,PURCHASE_COUNT" > folder "/items.csv"
      for (item = 0; item < items; item++)
        printf "item-%d,\"Thing no. %d, boxed\",shelf-%d,%.2f,%d\n", item, item, item % shelves,
          1 + item % 90, sold[item] > folder "/items.csv"
      print "USER_ID,CITY,PROVINCE,ORDER_COUNT,TOTAL_SPEND" > folder "/users.csv"
      for (user = 0; user < users; user++)
        printf "user-%d,city-%d,province-%d,%d,%.2f\n", user, user % 40, user % 8, orders[user], spent[user] \
          > folder "/users.csv"
    }'
}

schema() { # schema <name> <fields>
  printf '{"type": "record", "name": "%s", "namespace": "com.amazonaws.personalize.schema",
           "fields": [%s], "version": "1.0"}' "$1" "$2"
}

field() { # field <name> <type> [categorical]
  printf '{"name": "%s", "type": "%s"%s}' "$1" "$2" "${3:+, \"categorical\": true}"
}

interactions_schema() {
  schema Interactions "$(field USER_ID string), $(field ITEM_ID string), $(field TIMESTAMP long),
    $(field EVENT_TYPE string), $(field EVENT_VALUE float)"
}

items_schema() {
  schema Items "$(field ITEM_ID string), $(field ITEM_NAME string), $(field CATEGORY string categorical),
    $(field PRICE float), $(field PURCHASE_COUNT int)"
}

users_schema() {
  schema Users "$(field USER_ID string), $(field CITY string categorical),
    $(field PROVINCE string categorical), $(field ORDER_COUNT int), $(field TOTAL_SPEND float)"
}

recommend() { # recommend <user>
  aws personalize-runtime get-recommendations --campaign-arn "$campaign" --user-id "$1" --num-results 10 \
    --query 'itemList[].[itemId, score]' --output text
}

train() { # train <mode>: a new version of the solution; sets `version`
  version=$(get solutionVersionArn personalize create-solution-version --solution-arn "$solution" \
    --training-mode "$1")
  until_active solutionVersion describe-solution-version --solution-version-arn "$version"
}

step "three CSV files, $INTERACTIONS interactions"
make_files
wc -l "$folder"/*.csv

step "s3://$BUCKET"
aws s3 mb "s3://$BUCKET"
for kind in interactions items users; do
  aws s3 cp --no-progress "$folder/$kind.csv" "s3://$BUCKET/$kind.csv"
done

step "the dataset group $NAME"
group=$(get datasetGroupArn personalize create-dataset-group --name "$NAME")
until_active datasetGroup describe-dataset-group --dataset-group-arn "$group"

step 'three schemas, three datasets, three imports'
declare -A datasets imports
for kind in interactions items users; do
  schema=$(get schemaArn personalize create-schema --name "$NAME-$kind" --schema "$("${kind}_schema")")
  datasets[$kind]=$(get datasetArn personalize create-dataset --name "$NAME-$kind" \
    --dataset-group-arn "$group" --dataset-type "$kind" --schema-arn "$schema")
  until_active dataset describe-dataset --dataset-arn "${datasets[$kind]}"
  imports[$kind]=$(get datasetImportJobArn personalize create-dataset-import-job --job-name "$NAME-$kind" \
    --dataset-arn "${datasets[$kind]}" --data-source "dataLocation=s3://$BUCKET/$kind.csv" \
    --role-arn "$ROLE")
done
for kind in interactions items users; do
  until_active datasetImportJob describe-dataset-import-job --dataset-import-job-arn "${imports[$kind]}"
done
aws personalize list-schemas --query "schemas[?starts_with(name, '$NAME')].[name]" --output text
aws personalize list-datasets --dataset-group-arn "$group" \
  --query 'datasets[].[datasetType, status]' --output text
aws personalize list-dataset-import-jobs --query "datasetImportJobs[?starts_with(jobName, '$NAME')].[jobName, status]" \
  --output text

step 'a solution and its first version'
solution=$(get solutionArn personalize create-solution --name "$NAME" --dataset-group-arn "$group" \
  --recipe-arn "$RECIPE" --no-perform-auto-training)
until_active solution describe-solution --solution-arn "$solution"
train FULL
aws personalize get-solution-metrics --solution-version-arn "$version" --query metrics --output table

step 'a campaign, and what it recommends'
campaign=$(get campaignArn personalize create-campaign --name "$NAME" --solution-version-arn "$version" \
  --min-provisioned-tps 1)
until_active campaign describe-campaign --campaign-arn "$campaign"
recommend user-7

step 'an event tracker, and what a visitor does'
read -r tracker tracking_id < <(aws personalize create-event-tracker --name "$NAME" \
  --dataset-group-arn "$group" --query '[eventTrackerArn, trackingId]' --output text)
until_active eventTracker describe-event-tracker --event-tracker-arn "$tracker"
aws personalize list-event-trackers --dataset-group-arn "$group" \
  --query 'eventTrackers[].[name, status]' --output text
now=$(date +%s)
aws personalize-events put-events --tracking-id "$tracking_id" --user-id user-7 --session-id session-1 \
  --event-list "[{\"eventType\": \"view\", \"itemId\": \"item-3\", \"sentAt\": $now},
    {\"eventType\": \"add_to_cart\", \"sentAt\": $now,
     \"properties\": \"{\\\"itemId\\\": \\\"item-13\\\", \\\"eventValue\\\": \\\"12.5\\\"}\"}]"
echo '   two events of user-7 are in the log'

step 'a second version, and the campaign changes over to it'
train UPDATE
aws personalize update-campaign --campaign-arn "$campaign" --solution-version-arn "$version" >/dev/null
until_active campaign describe-campaign --campaign-arn "$campaign"
served=$(get campaign.solutionVersionArn personalize describe-campaign --campaign-arn "$campaign")
[[ $served == "$version" ]]
recommend user-7

step 'a batch of 1,000 users'
for ((user = 0; user < 1000; user++)); do echo "{\"userId\": \"user-$user\"}"; done >"$folder/users.json"
aws s3 cp --no-progress "$folder/users.json" "s3://$BUCKET/batch/users.json"
batch=$(get batchInferenceJobArn personalize create-batch-inference-job --job-name "$NAME" \
  --solution-version-arn "$version" --num-results 10 --role-arn "$ROLE" \
  --job-input "s3DataSource={path=s3://$BUCKET/batch/users.json}" \
  --job-output "s3DataDestination={path=s3://$BUCKET/batch/output/}")
until_active batchInferenceJob describe-batch-inference-job --batch-inference-job-arn "$batch"
aws s3 cp --no-progress "s3://$BUCKET/batch/output/users.json.out" "$folder/users.json.out"
[[ $(grep -c '"error":null' "$folder/users.json.out") == 1000 ]]
head -n 1 "$folder/users.json.out"

step 'what there is now'
aws personalize list-dataset-groups --query "datasetGroups[?name=='$NAME'].[name, status]" --output text
aws personalize list-solutions --dataset-group-arn "$group" --query 'solutions[].[name, status]' --output text
aws personalize list-campaigns --solution-arn "$solution" --query 'campaigns[].[name, status]' --output text

step 'done'
