/*
 * Posts the same body over and over, with only libcurl: the upper bound for a webhook sink.
 *
 *     bare_http URL BYTES REQUESTS LANES
 *
 * Prints requests a second.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static size_t
discard(char *data, size_t size, size_t number, void *user)
{
	(void) data;
	(void) user;
	return size * number;
}

static void
fail(const char *what)
{
	fprintf(stderr, "bare_http: %s\n", what);
	exit(1);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	long		bytes,
				requests,
				lanes,
				begun = 0,
				done = 0;
	char	   *body;
	CURLM	   *multi;
	struct curl_slist *headers;
	double		start;

	if (argc != 5)
		fail("arguments: URL BYTES REQUESTS LANES");
	bytes = atol(argv[2]);
	requests = atol(argv[3]);
	lanes = atol(argv[4]);
	body = malloc(bytes);
	if (!body)
		fail("out of memory");
	memset(body, 'x', bytes);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	headers = curl_slist_append(NULL, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	start = seconds();
	for (; begun < lanes && begun < requests; begun++)
	{
		CURL	   *lane = curl_easy_init();

		curl_easy_setopt(lane, CURLOPT_URL, argv[1]);
		curl_easy_setopt(lane, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(lane, CURLOPT_POSTFIELDSIZE, bytes);
		curl_easy_setopt(lane, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(lane, CURLOPT_WRITEFUNCTION, discard);
		curl_multi_add_handle(multi, lane);
	}
	while (done < requests)
	{
		int			running,
					left;
		CURLMsg    *message;

		curl_multi_perform(multi, &running);
		while ((message = curl_multi_info_read(multi, &left)))
		{
			CURL	   *lane = message->easy_handle;
			CURLcode	code = message->data.result;
			long		status = 0;

			curl_easy_getinfo(lane, CURLINFO_RESPONSE_CODE, &status);
			if (code != CURLE_OK || status / 100 != 2)
				fail(code != CURLE_OK ? curl_easy_strerror(code) : "not 2xx");
			done++;
			curl_multi_remove_handle(multi, lane);
			if (begun++ < requests)
				curl_multi_add_handle(multi, lane);
			else
				curl_easy_cleanup(lane);
		}
		if (done < requests)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("%.1f\n", requests / (seconds() - start));
	return 0;
}
